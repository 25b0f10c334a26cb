#pragma once

// 3.5 thread-pool: run any number of tasks on a fixed number of threads, as many as there are CPUs to run on.
//
// Python's `concurrent.futures.ThreadPoolExecutor`: the destructor is `shutdown(wait=True)`, which the `with` statement
// calls, and shutdown() is `shutdown(wait=False)`. allowed_cpus() is more than `os.process_cpu_count()` (Python 3.13),
// which does not look at cgroups.

#include <cstddef>
#include <filesystem>
#include <future>
#include <type_traits>

#include "exercise/not_done.hpp"

/// How many CPUs the calling thread can keep busy, at least 1: the least of
///
/// - the CPUs in its affinity mask (sched_getaffinity(2));
/// - the CPU time that its cgroup may use, and each cgroup above it up to the root. In cgroup v2 that is the file
///   `cpu.max` in the cgroup's folder: "150000 100000" is 150,000 us of CPU time in each 100,000 us, 1.5 CPUs. It is
///   rounded up, to 2. "max 100000" is no limit.
///
/// The cgroup is the rest of the line that begins with "0::" in the file `membership`: after "0::/pod/app" it is
/// `cgroup_mount`/pod/app, and the root is `cgroup_mount`. Where there is no such file, no such line (cgroup v1) or no
/// `cpu.max`, there is no limit, and no error.
inline std::size_t allowed_cpus(const std::filesystem::path& cgroup_mount = "/sys/fs/cgroup",
                                const std::filesystem::path& membership = "/proc/self/cgroup") {
  (void)cgroup_mount, (void)membership;  // take this line out once you use them
  interleave::not_done();
}

/// A fixed number of threads, the workers, that run the tasks that are submitted. Tasks run in the workers and nowhere
/// else, and the pool has no other threads.
///
/// No task waits while a worker has none. Workers that have nothing to do sleep: they neither spin nor look again from
/// time to time.
///
/// submit(), shutdown() and size() may be called from any thread at any time, also from a task.
class ThreadPool {
 public:
  /// No workers throws std::invalid_argument.
  explicit ThreadPool(std::size_t workers = allowed_cpus()) {
    (void)workers;  // take this line out once you use it
    interleave::not_done();
  }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Shuts the pool down, and waits until every task has been run and the workers have ended.
  ///
  /// A task may be the last owner of its own pool, and so call the destructor. Then it does not wait for the task that
  /// it is called from. The tasks that have been submitted are run all the same, in the destructor or later, and after
  /// that the workers end.
  ~ThreadPool() = default;

  /// The number of workers.
  std::size_t size() const { interleave::not_done(); }

  /// Has a worker call `function()`, once, and does not wait for that. The future gets what it returns, or the exception
  /// that it throws. `function` is moved and never copied; so is its result.
  ///
  /// After shutdown() it throws std::runtime_error instead, and `function` is never called.
  template <typename Function>
  auto submit(Function function) -> std::future<std::invoke_result_t<Function&>> {
    (void)function;  // take this line out once you use it
    interleave::not_done();
  }

  /// From now on, no task is accepted. Every task that has been accepted is still run. Does not wait for them. Calling it
  /// again does nothing.
  void shutdown() { interleave::not_done(); }
};
