// One socket pair for both ways; the working set is ordinary memory from calloc, and a child that finds the socket
// closed ends.

#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <given/switch_cost.hpp>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>

struct ProcessSwitchCost : SwitchCost {
  std::uint64_t checksum;
};

// Runs a function when the scope is left.
template <typename Function>
class AtExit {
 public:
  explicit AtExit(Function function) : function_(std::move(function)) {}
  AtExit(const AtExit&) = delete;
  AtExit& operator=(const AtExit&) = delete;
  ~AtExit() { function_(); }

 private:
  Function function_;
};

inline ProcessSwitchCost process_ping_pong(long round_trips, long warm_up, std::size_t working_set,
                                           const Clock& now = steady_clock_now) {
  if (round_trips < 1 || warm_up < 0) throw std::invalid_argument("process_ping_pong: too few round trips");
  auto fail = [](int error, const char* call) { throw std::system_error(error, std::generic_category(), call); };

  cpu_set_t before, one;
  if (int error = ::pthread_getaffinity_np(::pthread_self(), sizeof(before), &before)) fail(error, "getaffinity");
  CPU_ZERO(&one);
  for (std::size_t cpu = CPU_SETSIZE; cpu-- > 0 && CPU_COUNT(&one) == 0;) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);  // the last that is allowed
  }
  if (int error = ::pthread_setaffinity_np(::pthread_self(), sizeof(one), &one)) fail(error, "setaffinity");
  AtExit go_back([&] { ::pthread_setaffinity_np(::pthread_self(), sizeof(before), &before); });

  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail(errno, "socketpair");
  const pid_t child = ::fork();
  if (child < 0) {
    int error = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    fail(error, "fork");
  }
  const int mine = ends[child == 0], theirs = ends[child != 0];
  ::close(theirs);
  AtExit hang_up([&] {
    ::close(mine);
    if (child != 0) ::waitpid(child, nullptr, 0);
  });

  const std::size_t lines = working_set / 64;
  using Numbers = std::unique_ptr<std::uint64_t[], decltype(&std::free)>;
  Numbers memory(static_cast<std::uint64_t*>(std::calloc(lines + 1, 64)), &std::free);
  if (!memory) throw std::bad_alloc();
  auto add = [&](std::uint64_t token) {
    for (std::size_t i = 0; i < lines; ++i) memory[i * 8] += token;
  };
  auto sum = [&] {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < lines; ++i) total += memory[i * 8];
    return total;
  };
  auto take = [&](auto& value) { return ::recv(mine, &value, sizeof(value), 0) == sizeof(value); };
  auto give = [&](auto value) { ::send(mine, &value, sizeof(value), MSG_NOSIGNAL); };
  auto switches_so_far = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
  };

  std::uint64_t token = 0;
  if (child == 0) {
    long at_start = 0;
    for (long i = -warm_up; i < round_trips; ++i) {
      if (!take(token)) ::_exit(0);
      if (i == 0) at_start = switches_so_far();
      add(token);
      give(token + 1);
    }
    give(switches_so_far() - at_start);
    give(sum());
    ::_exit(0);
  }

  std::chrono::nanoseconds start{};
  long at_start = 0;
  for (long i = -warm_up; i < round_trips; ++i) {
    if (i == 0) {
      start = now();
      at_start = switches_so_far();
    }
    give(token + 1);
    take(token);
    add(token);
  }
  long kernel_switches = switches_so_far() - at_start;
  const auto elapsed = now() - start;

  long of_the_child = 0;
  std::uint64_t sum_of_the_child = 0;
  take(of_the_child);
  take(sum_of_the_child);
  return {{2 * round_trips, kernel_switches + of_the_child, elapsed,
           static_cast<double>(elapsed.count()) / static_cast<double>(2 * round_trips)},
          sum() + sum_of_the_child};
}
