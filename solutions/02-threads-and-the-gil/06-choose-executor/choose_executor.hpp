#pragma once

// 2.6 choose-executor: run a task once, see whether it computes or waits, and send the rest to threads or to processes.
//
// What decides in Python between `ThreadPoolExecutor` and `ProcessPoolExecutor`, both in `concurrent.futures`.

#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <stdexcept>
#include <vector>

using Task = std::function<int()>;

/// The two clocks that tell computing from waiting. Each returns the time since a point that does not change.
struct Clocks {
  std::function<std::chrono::nanoseconds()> cpu;      // CPU time
  std::function<std::chrono::nanoseconds()> elapsed;  // time
};

/// The clocks of the machine. `cpu` is the CPU time of the thread that calls it, whichever that is, and of no other
/// (CLOCK_THREAD_CPUTIME_ID); `elapsed` is std::chrono::steady_clock.
inline Clocks real_clocks() {
  auto cpu = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  auto elapsed = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
  return {cpu, elapsed};
}

/// One run of a task.
struct Measurement {
  std::chrono::nanoseconds cpu;
  std::chrono::nanoseconds elapsed;
  int result;
};

/// Runs the task once, in the calling thread, and returns what the two clocks have moved meanwhile, with the result. An
/// exception from the task passes through.
inline Measurement measure(const Task& task, const Clocks& clocks) {
  // The clock of the time goes round the clock of the CPU: nobody can compute for longer than time goes by.
  auto elapsed_start = clocks.elapsed();
  auto cpu_start = clocks.cpu();
  int result = task();
  auto cpu = clocks.cpu() - cpu_start;
  return {cpu, clocks.elapsed() - elapsed_start, result};
}

enum class Executor { threads, processes };

/// Where tasks of this kind are to run, `workers` of them at a time.
///
/// Threads of one interpreter can compute one after the other only. While one task is run, `workers` of them compute
/// for workers * cpu altogether. If that is no more than `elapsed`, they fit one behind the other, and threads are as
/// fast as processes: Executor::threads. If it is more, they would wait for the GIL: Executor::processes.
///
/// The times are 0 or more, and exact to the nanosecond. Less than 1 worker throws std::invalid_argument.
inline Executor choose_executor(std::chrono::nanoseconds cpu, std::chrono::nanoseconds elapsed, int workers) {
  if (workers < 1) throw std::invalid_argument("an executor needs one worker at the least");
  // Multiplied, and not divided: nothing is rounded, and neither time may be a divisor of 0.
  return cpu * workers <= elapsed ? Executor::threads : Executor::processes;
}

/// Runs tasks, `workers` at a time, and returns their results in the order of the tasks.
using Pool = std::function<std::vector<int>(std::span<const Task> tasks, int workers)>;

struct Pools {
  Pool threads;
  Pool processes;
};

/// Runs each of the tasks once, and returns their results in the order of the tasks. They are all of one kind.
///
/// The first is the probe: it is run in the calling thread, and measured with `clocks`. The others are handed over,
/// with `workers`, to the one pool that choose_executor() names, in one call. What counts for its choice are the
/// workers that will have something to do: `workers`, or the number of tasks handed over if that is less. Without
/// others, no pool is called.
///
/// Less than 1 worker throws std::invalid_argument, before any task is run. An exception from the probe or from a pool
/// passes through, and nothing is run after it.
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
  std::vector<int> rest = pool(others, workers);
  results.insert(results.end(), rest.begin(), rest.end());
  return results;
}
