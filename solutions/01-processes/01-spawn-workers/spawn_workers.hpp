#pragma once

// 1.1 spawn-workers: start N processes, let them run side by side, and wait for all of them.
//
// Python's `multiprocessing.Process(target=worker, args=(i,))`, `start()` and `join()`, by hand.

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <system_error>
#include <vector>

/// What one worker process said of itself.
struct WorkerReport {
  int index;         // 0 for the worker that was started first
  pid_t pid;         // the worker's own process id
  pid_t parent_pid;  // the process id of the worker's parent
  bool succeeded;    // work(index) returned; false if it threw, or if the worker was ended by a signal
};

/// Starts `count` child processes; worker i runs work(i) and ends. Starts them all before it waits for any, so they
/// are all alive at the same time, and returns when every one has ended and has been waited for.
///
/// Returns the reports, in order of index. Each worker is a child of the calling process, and runs work(i) once.
///
/// In a worker: an exception from work(i) goes no further. When work(i) is over the process ends at once: the
/// parent's exit handlers (std::atexit) do not run in it, and output that the parent had buffered but not yet written
/// is not written by it.
///
/// `count` is 0 or more; 0 gives an empty vector. Less than 0 throws std::invalid_argument.
/// If a process cannot be started, throws std::system_error with the error of fork(2), after it has ended (SIGKILL)
/// and waited for the workers that were already running. Leaves no process, no zombie and no open descriptor behind.
///
/// Called by one thread at a time, in a process that has no other child.
inline std::vector<WorkerReport> spawn_workers(int count, const std::function<void(int)>& work) {
  if (count < 0) throw std::invalid_argument("spawn_workers: count is negative");
  std::vector<WorkerReport> reports;
  reports.reserve(static_cast<std::size_t>(count));

  // Waits for the workers started so far and fills in how they ended.
  auto join_all = [&reports] {
    for (WorkerReport& report : reports) {
      int status = 0;
      while (::waitpid(report.pid, &status, 0) < 0 && errno == EINTR) {
      }
      report.succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
  };

  for (int index = 0; index < count; ++index) {
    pid_t pid = ::fork();
    if (pid < 0) {
      int error = errno;  // kill and waitpid may change it
      for (const WorkerReport& report : reports) ::kill(report.pid, SIGKILL);
      join_all();
      throw std::system_error(error, std::generic_category(), "fork");
    }
    if (pid == 0) {
      // The worker. From here on there is no way out but _exit.
      try {
        work(index);
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    // A child made by fork is a child of the caller: both numbers are known on this side already.
    reports.push_back({index, pid, ::getpid(), false});
  }
  join_all();
  return reports;
}
