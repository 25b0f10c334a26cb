// Measures the first task and then hands all of them over, which keeps the results in order: the first one is run
// twice, and it costs, writes and sends twice too.
// caught: plain, RunAll.RunsEachTaskOnceAndReturnsTheResultsInOrder, wrong answer

#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <stdexcept>
#include <vector>

using Task = std::function<int()>;

struct Clocks {
  std::function<std::chrono::nanoseconds()> cpu;      // CPU time
  std::function<std::chrono::nanoseconds()> elapsed;  // time
};

inline Clocks real_clocks() {
  auto cpu = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  auto elapsed = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
  return {cpu, elapsed};
}

struct Measurement {
  std::chrono::nanoseconds cpu;
  std::chrono::nanoseconds elapsed;
  int result;
};

inline Measurement measure(const Task& task, const Clocks& clocks) {
  auto elapsed_start = clocks.elapsed();
  auto cpu_start = clocks.cpu();
  int result = task();
  auto cpu = clocks.cpu() - cpu_start;
  return {cpu, clocks.elapsed() - elapsed_start, result};
}

enum class Executor { threads, processes };

inline Executor choose_executor(std::chrono::nanoseconds cpu, std::chrono::nanoseconds elapsed, int workers) {
  if (workers < 1) throw std::invalid_argument("an executor needs one worker at the least");
  return cpu * workers <= elapsed ? Executor::threads : Executor::processes;
}

using Pool = std::function<std::vector<int>(std::span<const Task> tasks, int workers)>;

struct Pools {
  Pool threads;
  Pool processes;
};

inline std::vector<int> run_all(std::span<const Task> tasks, int workers, const Pools& pools, const Clocks& clocks) {
  if (workers < 1) throw std::invalid_argument("an executor needs one worker at the least");
  if (tasks.empty()) return {};

  Measurement probe = measure(tasks.front(), clocks);
  std::vector<int> results = {probe.result};
  std::span<const Task> others = tasks.subspan(1);
  if (others.empty()) return results;

  auto busy = static_cast<int>(std::min(static_cast<std::size_t>(workers), others.size()));
  Executor executor = choose_executor(probe.cpu, probe.elapsed, busy);
  const Pool& pool = executor == Executor::threads ? pools.threads : pools.processes;
  return pool(tasks, workers);
}
