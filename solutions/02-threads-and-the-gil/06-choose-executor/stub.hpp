#pragma once

// 2.6 choose-executor: run a task once, see whether it computes or waits, and send the rest to threads or to processes.
//
// What decides in Python between `ThreadPoolExecutor` and `ProcessPoolExecutor`, both in `concurrent.futures`.

#include <chrono>
#include <functional>
#include <span>
#include <vector>

#include "exercise/not_done.hpp"

using Task = std::function<int()>;

/// The two clocks that tell computing from waiting. Each returns the time since a point that does not change.
struct Clocks {
  std::function<std::chrono::nanoseconds()> cpu;      // CPU time
  std::function<std::chrono::nanoseconds()> elapsed;  // time
};

/// The clocks of the machine. `cpu` is the CPU time of the thread that calls it, whichever that is, and of no other
/// (CLOCK_THREAD_CPUTIME_ID); `elapsed` is std::chrono::steady_clock.
inline Clocks real_clocks() { interleave::not_done(); }

/// One run of a task.
struct Measurement {
  std::chrono::nanoseconds cpu;
  std::chrono::nanoseconds elapsed;
  int result;
};

/// Runs the task once, in the calling thread, and returns what the two clocks have moved meanwhile, with the result. An
/// exception from the task passes through.
inline Measurement measure(const Task& task, const Clocks& clocks) {
  (void)task, (void)clocks;  // take this line out once you use them
  interleave::not_done();
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
  (void)cpu, (void)elapsed, (void)workers;  // take this line out once you use them
  interleave::not_done();
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
  (void)tasks, (void)workers, (void)pools, (void)clocks;  // take this line out once you use them
  interleave::not_done();
}
