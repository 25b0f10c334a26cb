#pragma once

// 1.6 supervisor: keep N workers running, start the crashed ones again, and stop them all by a deadline.
//
// What gunicorn's master does for its workers and systemd for its services; Python's `multiprocessing.Pool` replaces
// its dead workers in the same way.

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <vector>

#include "exercise/not_done.hpp"

enum class WorkerState {
  running,   // it has a process; also when that has ended but no call has dealt with it yet
  finished,  // it ended with exit status 0
  gave_up,   // it crashed and had been started again as often as is allowed
  stopped,   // it ended because of stop(), or was found ended by stop()
};

struct WorkerReport {
  WorkerState state;
  int starts;       // how often it was started, the first time included
  int last_status;  // how its last process ended, as waitpid(2) says it; 0 while none has ended
};

/// Runs each worker in a child process of its own and watches over all of them.
///
/// A worker that ends with exit status 0 has finished and is left alone. Any other end, by another status or by a
/// signal, is a crash: wait_any() and wait_all() start the worker again at once, up to `max_restarts` times for each
/// worker. The other workers run on meanwhile.
///
/// In a worker: the process ends as soon as the function is over, with the function's result as its exit status, or
/// with 1 if it throws. The parent's exit handlers (std::atexit) do not run in it. It starts with the signal mask and
/// the signal dispositions that the caller had when it made the supervisor.
///
/// wait_any(), wait_all() and stop() sleep while they wait: they neither spin nor look again from time to time, but
/// are woken by the end of a worker. A signal that the caller handles in the meantime does not disturb them.
///
/// No signal is ever sent to a process that has already been waited for: its id may belong to somebody else by then.
///
/// For one thread, in a process that has no other child and does not ignore SIGCHLD. Once the supervisor is destroyed,
/// the caller's signal mask and dispositions are what they were, and no process, zombie or descriptor is left.
class Supervisor {
 public:
  /// Starts all the workers, with fork(2), so that they run at the same time. `max_restarts` is 0 or more.
  ///
  /// If a process cannot be started, throws std::system_error with the error of fork(2), after it has ended (SIGKILL)
  /// and waited for the workers that were already running.
  Supervisor(const std::vector<std::function<int()>>& workers, int max_restarts) {
    (void)workers, (void)max_restarts;  // take this line out once you use them
    interleave::not_done();
  }

  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Ends the workers that still run (SIGKILL), and waits for them.
  ~Supervisor() = default;

  /// Waits until a worker has ended, and deals with that one, and with others if they have ended too. Returns whether
  /// any worker is running now. Returns false at once if none is when it is called.
  bool wait_any() { interleave::not_done(); }

  /// Waits until no worker is running: each has finished or was given up.
  void wait_all() { interleave::not_done(); }

  /// Asks all the running workers to end, without waiting in between (SIGTERM), and waits for them. Returns as soon as
  /// the last one has ended. Those that still run when `grace` is over are ended with SIGKILL, and waited for.
  ///
  /// Whatever way they end, they are stopped, with that status, and are not started again; so are those that had
  /// ended before the call but had not been dealt with. The reports of the other workers stay as they are.
  void stop(std::chrono::milliseconds grace) {
    (void)grace;  // take this line out once you use it
    interleave::not_done();
  }

  /// One report for each worker, in the order in which they were given.
  std::vector<WorkerReport> reports() const { interleave::not_done(); }
};
