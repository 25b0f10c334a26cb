// The token is a number in memory that both processes have mapped, with a semaphore for each that is posted when it is
// its turn; the child makes its working set itself.

#pragma once

#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <given/switch_cost.hpp>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <vector>

struct ProcessSwitchCost : SwitchCost {
  std::uint64_t checksum;
};

struct Court {
  sem_t turn[2];
  std::uint64_t token = 0;
  bool over = false;
  long switches_of_the_child = 0;
  std::uint64_t sum_of_the_child = 0;
};

// A shared Court, and the caller's CPUs as they were.
class Match {
 public:
  Match() {
    void* memory = ::mmap(nullptr, sizeof(Court), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    court_ = new (memory) Court();
    for (sem_t& semaphore : court_->turn) ::sem_init(&semaphore, 1, 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
    ::sched_getaffinity(0, sizeof(before_), &before_);
    if (::sched_setaffinity(0, sizeof(one), &one) != 0) {
      int error = errno;
      ::munmap(court_, sizeof(Court));
      throw std::system_error(error, std::generic_category(), "sched_setaffinity");
    }
  }
  Match(const Match&) = delete;
  Match& operator=(const Match&) = delete;
  ~Match() {
    if (child_ > 0) {
      court_->over = true;
      ::sem_post(&court_->turn[1]);
      ::waitpid(child_, nullptr, 0);
    }
    ::sched_setaffinity(0, sizeof(before_), &before_);
    ::munmap(court_, sizeof(Court));
  }

  template <typename Play>
  void start_child(Play play) {
    child_ = ::fork();
    if (child_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child_ == 0) {
      play();
      ::_exit(0);
    }
  }

  void pass_to(int side) {
    ++court_->token;
    ::sem_post(&court_->turn[side]);
  }
  bool wait_as(int side) {
    while (::sem_wait(&court_->turn[side]) != 0) {
    }
    return !court_->over;
  }

  Court& court() { return *court_; }

 private:
  Court* court_;
  cpu_set_t before_;
  pid_t child_ = 0;
};

inline ProcessSwitchCost process_ping_pong(long round_trips, long warm_up, std::size_t working_set,
                                           const Clock& now = steady_clock_now) {
  if (round_trips < 1 || warm_up < 0) throw std::invalid_argument("process_ping_pong: too few round trips");
  constexpr std::size_t stride = 64 / sizeof(std::uint64_t);
  auto add = [](std::vector<std::uint64_t>& lines, std::uint64_t token) {
    for (std::size_t i = 0; i < lines.size(); i += stride) lines[i] += token;
  };
  auto sum = [](const std::vector<std::uint64_t>& lines) {
    return std::accumulate(lines.begin(), lines.end(), std::uint64_t{0});
  };
  auto switches_so_far = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
  };

  Match match;
  Court& court = match.court();
  match.start_child([&] {
    std::vector<std::uint64_t> lines(working_set / 64 * stride);
    long at_start = 0;
    for (long i = 0; i < warm_up + round_trips; ++i) {
      if (!match.wait_as(1)) return;
      if (i == warm_up) at_start = switches_so_far();
      add(lines, court.token);
      if (i == warm_up + round_trips - 1) {
        court.sum_of_the_child = sum(lines);
        court.switches_of_the_child = switches_so_far() - at_start;
      }
      match.pass_to(0);
    }
  });

  std::vector<std::uint64_t> lines(working_set / 64 * stride);
  auto play = [&](long trips) {
    for (long i = 0; i < trips; ++i) {
      match.pass_to(1);
      match.wait_as(0);
      add(lines, court.token);
    }
  };
  play(warm_up);
  const auto start = now();
  const long at_start = switches_so_far();
  play(round_trips);
  const long kernel_switches = switches_so_far() - at_start + court.switches_of_the_child;
  const auto elapsed = now() - start;

  const std::chrono::duration<double, std::nano> time = elapsed;
  return {{2 * round_trips, kernel_switches, elapsed, time.count() / 2 / static_cast<double>(round_trips)},
          sum(lines) + court.sum_of_the_child};
}
