// Closes its pipe to tell the child that the game is over early: but the child has a copy of that end, so it waits for
// itself, and its parent for it.
// caught: plain, ProcessPingPong.EndsTheGameWhenTheClockThrows, deadlock

#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <given/switch_cost.hpp>
#include <stdexcept>
#include <system_error>

/// What a ping-pong between two processes has measured. A switch takes in what the process does that gets the token.
struct ProcessSwitchCost : SwitchCost {
  std::uint64_t checksum;  // of both working sets, see below
};

[[noreturn]] inline void throw_errno(const char* call) {
  throw std::system_error(errno, std::generic_category(), call);
}

/// Keeps the calling thread, and the processes that it starts meanwhile, on the CPU where it is.
class SameCpu {
 public:
  SameCpu() {
    if (::sched_getaffinity(0, sizeof(before_), &before_) != 0) throw_errno("sched_getaffinity");
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(::sched_getcpu(), &here);
    if (::sched_setaffinity(0, sizeof(here), &here) != 0) throw_errno("sched_setaffinity");
  }
  SameCpu(const SameCpu&) = delete;
  SameCpu& operator=(const SameCpu&) = delete;
  ~SameCpu() { ::sched_setaffinity(0, sizeof(before_), &before_); }

 private:
  cpu_set_t before_;
};

/// Memory that two processes have after a fork, each for itself: a page is copied when it is first written.
class WorkingSet {
 public:
  explicit WorkingSet(std::size_t bytes) : bytes_(bytes), lines_(bytes / sizeof(Line)) {
    if (bytes == 0) return;  // mmap would refuse
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw_errno("mmap");
    line_ = static_cast<Line*>(memory);
  }
  WorkingSet(const WorkingSet&) = delete;
  WorkingSet& operator=(const WorkingSet&) = delete;
  ~WorkingSet() {
    if (line_ != nullptr) ::munmap(line_, bytes_);
  }

  void add(std::uint64_t token) {
    for (std::size_t i = 0; i < lines_; ++i) line_[i].number += token;
  }

  std::uint64_t sum() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < lines_; ++i) sum += line_[i].number;
    return sum;
  }

 private:
  struct alignas(64) Line {
    std::uint64_t number;
  };

  std::size_t bytes_, lines_;
  Line* line_ = nullptr;
};

class TokenPipe {
 public:
  TokenPipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw_errno("pipe2");
  }
  TokenPipe(const TokenPipe&) = delete;
  TokenPipe& operator=(const TokenPipe&) = delete;
  ~TokenPipe() {
    close_read_end();
    close_write_end();
  }

  /// Values of a few bytes go through as a whole. False at the end of the file.
  template <typename T>
  bool read(T& value) const {
    ssize_t count;
    do count = ::read(ends_[0], &value, sizeof(value));
    while (count < 0 && errno == EINTR);
    return count == sizeof(value);
  }
  template <typename T>
  void write(const T& value) const {
    while (::write(ends_[1], &value, sizeof(value)) < 0 && errno == EINTR) {
    }
  }

  void close_read_end() { close(ends_[0]); }
  void close_write_end() { close(ends_[1]); }

 private:
  static void close(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }

  int ends_[2];
};

/// The context switches of this process so far.
inline long switches_of_this_process() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

/// What the child has to say at the end.
struct Report {
  long kernel_switches;
  std::uint64_t sum;
};

/// The child's part of the game. Ends early if the other side closes `there`.
inline void play_along(const TokenPipe& there, const TokenPipe& back, long round_trips, long warm_up,
                       WorkingSet& memory) {
  long switches_at_start = 0;
  for (long i = 0; i < warm_up + round_trips; ++i) {
    std::uint64_t token;
    if (!there.read(token)) return;
    if (i == warm_up) switches_at_start = switches_of_this_process();
    memory.add(token);
    back.write(token + 1);
  }
  back.write(Report{switches_of_this_process() - switches_at_start, memory.sum()});
}

inline ProcessSwitchCost process_ping_pong(long round_trips, long warm_up, std::size_t working_set,
                                           const Clock& now = steady_clock_now) {
  if (round_trips < 1) throw std::invalid_argument("process_ping_pong: fewer than 1 round trip");
  if (warm_up < 0) throw std::invalid_argument("process_ping_pong: a negative warm-up");

  SameCpu pinned;  // before the fork: the child inherits the CPU
  WorkingSet memory(working_set);
  TokenPipe there, back;
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork");
  if (child == 0) {
    play_along(there, back, round_trips, warm_up, memory);
    ::_exit(0);
  }
  struct EndOfTheGame {
    TokenPipe& there;
    pid_t child;
    ~EndOfTheGame() {
      there.close_write_end();
      while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  } end{there, child};

  std::uint64_t token = 1;
  auto play = [&](long trips) {
    for (long i = 0; i < trips; ++i) {
      there.write(token);
      back.read(token);
      memory.add(token);
      ++token;
    }
  };

  play(warm_up);
  const auto start = now();
  const long switches_at_start = switches_of_this_process();
  play(round_trips);
  const long kernel_switches = switches_of_this_process() - switches_at_start;
  const std::chrono::nanoseconds elapsed = now() - start;

  Report report{};
  back.read(report);
  const long switches = 2 * round_trips;
  return {{switches, kernel_switches + report.kernel_switches, elapsed,
           static_cast<double>(elapsed.count()) / static_cast<double>(switches)},
          memory.sum() + report.sum};
}
