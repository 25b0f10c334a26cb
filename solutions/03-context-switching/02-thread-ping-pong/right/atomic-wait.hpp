// Hands over by std::atomic::wait and notify_one: on one CPU the library's short spin gives way by sched_yield, so most
// switches are involuntary ones, and only who waits for longer sleeps.

#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <given/switch_cost.hpp>
#include <stdexcept>
#include <system_error>
#include <thread>

class AffinityGuard {
 public:
  AffinityGuard() {
    cpu_set_t one;
    CPU_ZERO(&one);
    if (::sched_getaffinity(0, sizeof(before_), &before_) != 0) throw_errno();
    std::size_t cpu = 0;
    while (!CPU_ISSET(cpu, &before_)) ++cpu;  // the first that is allowed
    CPU_SET(cpu, &one);
    if (::sched_setaffinity(0, sizeof(one), &one) != 0) throw_errno();
  }
  AffinityGuard(const AffinityGuard&) = delete;
  AffinityGuard& operator=(const AffinityGuard&) = delete;
  ~AffinityGuard() { ::sched_setaffinity(0, sizeof(before_), &before_); }

 private:
  [[noreturn]] static void throw_errno() { throw std::system_error(errno, std::generic_category(), "affinity"); }

  cpu_set_t before_;
};

inline SwitchCost thread_ping_pong(long round_trips, long warm_up, const Clock& now = steady_clock_now) {
  if (round_trips < 1 || warm_up < 0) throw std::invalid_argument("thread_ping_pong: too few round trips");
  enum Turn { mine, yours, nobodys };
  AffinityGuard on_one_cpu;
  std::atomic<Turn> turn = mine;
  std::thread other([&turn] {
    while (true) {
      turn.wait(mine);
      Turn expected = yours;
      if (!turn.compare_exchange_strong(expected, mine)) return;
      turn.notify_one();
    }
  });
  auto end = [&] {
    turn = nobodys;
    turn.notify_one();
    other.join();
  };
  auto switches_so_far = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
  };
  long kernel_switches = 0;
  std::chrono::nanoseconds elapsed{};
  try {
    for (long i = -warm_up; i < round_trips; ++i) {
      if (i == 0) {
        elapsed -= now();
        kernel_switches -= switches_so_far();
      }
      turn = yours;
      turn.notify_one();
      turn.wait(yours);
    }
    kernel_switches += switches_so_far();
    elapsed += now();
  } catch (...) {
    end();
    throw;
  }
  end();
  return {2 * round_trips, kernel_switches, elapsed,
          static_cast<double>(elapsed.count()) / 2 / static_cast<double>(round_trips)};
}
