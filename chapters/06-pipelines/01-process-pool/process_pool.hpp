#pragma once

// 6.1 process-pool: run tasks in worker processes, get a future for each, and live on when a worker dies.
//
// Python's `concurrent.futures.ProcessPoolExecutor`, whose workers a "forkserver" starts, with one difference: there,
// one dead worker breaks the pool and every future that is pending (`BrokenProcessPool`).

#include <future>
#include <given/fork_server.hpp>  // ForkServer, Worker, WorkerContext, Functions
#include <stdexcept>
#include <string>
#include <string_view>

#include "exercise/not_done.hpp"

/// The function threw. what() is the what() of its exception, all of it, or "unknown exception" if that is not a
/// std::exception.
struct TaskError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The worker ended before the task was done.
struct BrokenWorker : std::runtime_error {
  explicit BrokenWorker(int status_of_worker)
      : std::runtime_error("the worker ended in the middle of the task"), status(status_of_worker) {}
  int status;  // how the worker's process ended, as waitpid(2) says it
};

/// A fixed number of worker processes that run the functions of a fork server.
///
/// This process may have threads, so it does not fork: all workers come from the server, also those that replace
/// others.
///
/// Each worker runs one task at a time. No task waits while a worker has none. While there is nothing to do, pool and
/// workers sleep.
///
/// A worker that ends is replaced by a new one. If it had a task, the future of that task, and no other, gets a
/// BrokenWorker. That goes for any moment: while it receives the argument, is in the function, or sends the result. The
/// task is not run again. A task is never given to a worker that has ended already, as ForkServer::count() shows.
///
/// If a worker cannot be replaced, the pool goes on with those that are left. When none is left, the futures of all
/// tasks that wait or come later get the std::system_error of ForkServer::spawn().
class ProcessPool {
 public:
  /// The server outlives the pool, and has functions that return. Less than one worker throws std::invalid_argument. If
  /// a worker cannot be started, throws the std::system_error of ForkServer::spawn() when those that were started have
  /// ended.
  ProcessPool(ForkServer& server, int workers) {
    (void)server, (void)workers;  // take this line out once you use them
    interleave::not_done();
  }

  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  /// Waits until every task has been done or broken. Returns when the last worker has ended (ForkServer::count()).
  ~ProcessPool() = default;

  /// Has a worker call server.functions().at(function)(argument), once, and does not wait for that. The future gets the
  /// result, or a TaskError if the function throws. Argument and result may have any bytes and any length.
  ///
  /// Throws std::invalid_argument if the server has no such function. May be called from any thread.
  std::future<std::string> submit(std::string_view function, std::string argument) {
    (void)function, (void)argument;  // take this line out once you use them
    interleave::not_done();
  }
};
