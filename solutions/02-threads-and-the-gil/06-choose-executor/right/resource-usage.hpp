// Has the CPU time from getrusage(RUSAGE_THREAD), in microseconds, and divides the time among the workers.

#pragma once

#include <sys/resource.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <stdexcept>
#include <vector>

using Task = std::function<int()>;

struct Clocks {
  std::function<std::chrono::nanoseconds()> cpu;
  std::function<std::chrono::nanoseconds()> elapsed;
};

inline Clocks real_clocks() {
  Clocks clocks;
  clocks.cpu = [] {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    timeval sum{};
    timeradd(&usage.ru_utime, &usage.ru_stime, &sum);
    return std::chrono::seconds(sum.tv_sec) + std::chrono::microseconds(sum.tv_usec);
  };
  clocks.elapsed = [] { return std::chrono::steady_clock::now() - std::chrono::steady_clock::time_point(); };
  return clocks;
}

struct Measurement {
  std::chrono::nanoseconds cpu;
  std::chrono::nanoseconds elapsed;
  int result;
};

inline Measurement measure(const Task& task, const Clocks& clocks) {
  Measurement measured{-clocks.cpu(), -clocks.elapsed(), 0};
  measured.result = task();
  measured.elapsed += clocks.elapsed();
  measured.cpu += clocks.cpu();
  return measured;
}

enum class Executor { threads, processes };

inline Executor choose_executor(std::chrono::nanoseconds cpu, std::chrono::nanoseconds elapsed, int workers) {
  if (workers <= 0) throw std::invalid_argument("workers must be positive");
  bool fits = workers == 1 || cpu.count() == 0 || elapsed.count() / workers >= cpu.count();
  return fits ? Executor::threads : Executor::processes;
}

using Pool = std::function<std::vector<int>(std::span<const Task> tasks, int workers)>;

struct Pools {
  Pool threads;
  Pool processes;
};

inline std::vector<int> run_all(std::span<const Task> tasks, int workers, const Pools& pools, const Clocks& clocks) {
  if (workers <= 0) throw std::invalid_argument("workers must be positive");
  std::vector<int> results;
  if (!tasks.empty()) {
    Measurement first = measure(tasks[0], clocks);
    if (tasks.size() > 1) {
      int busy = tasks.size() - 1 < static_cast<std::size_t>(workers) ? static_cast<int>(tasks.size() - 1) : workers;
      switch (choose_executor(first.cpu, first.elapsed, busy)) {
        case Executor::threads:
          results = pools.threads(tasks.last(tasks.size() - 1), busy);
          break;
        case Executor::processes:
          results = pools.processes(tasks.last(tasks.size() - 1), busy);
          break;
      }
    }
    results.insert(results.begin(), first.result);
  }
  return results;
}
