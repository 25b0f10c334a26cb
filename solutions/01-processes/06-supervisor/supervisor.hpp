#pragma once

// 1.6 supervisor: keep N workers running, start the crashed ones again, and stop them all by a deadline.
//
// What gunicorn's master does for its workers and systemd for its services; Python's `multiprocessing.Pool` replaces
// its dead workers in the same way.

#include <poll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <functional>
#include <optional>
#include <system_error>
#include <vector>

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
  Supervisor(const std::vector<std::function<int()>>& workers, int max_restarts) : max_restarts_(max_restarts) {
    for (const auto& work : workers) workers_.push_back({work});
    try {
      for (Worker& worker : workers_) start(worker);
    } catch (...) {
      end_all();  // an object whose constructor throws is never destroyed
      throw;
    }
  }

  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Ends the workers that still run (SIGKILL), and waits for them.
  ~Supervisor() { end_all(); }

  /// Waits until a worker has ended, and deals with that one, and with others if they have ended too. Returns whether
  /// any worker is running now. Returns false at once if none is when it is called.
  bool wait_any() {
    for (Worker* worker : wait_for_ends(std::nullopt)) {
      int status = collect(*worker);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        worker->report.state = WorkerState::finished;
      } else if (worker->report.starts > max_restarts_) {
        worker->report.state = WorkerState::gave_up;
      } else {
        start(*worker);
      }
    }
    return any_running();
  }

  /// Waits until no worker is running: each has finished or was given up.
  void wait_all() {
    while (wait_any()) {
    }
  }

  /// Asks all the running workers to end, without waiting in between (SIGTERM), and waits for them. Returns as soon as
  /// the last one has ended. Those that still run when `grace` is over are ended with SIGKILL, and waited for.
  ///
  /// Whatever way they end, they are stopped, with that status, and are not started again; so are those that had
  /// ended before the call but had not been dealt with. The reports of the other workers stay as they are.
  void stop(std::chrono::milliseconds grace) {
    std::optional<Clock::time_point> deadline = Clock::now() + grace;
    signal_all(SIGTERM);
    while (any_running()) {
      std::vector<Worker*> ended = wait_for_ends(deadline);
      if (ended.empty()) {
        signal_all(SIGKILL);
        deadline.reset();  // nothing survives SIGKILL
      }
      for (Worker* worker : ended) {
        collect(*worker);
        worker->report.state = WorkerState::stopped;
      }
    }
  }

  /// One report for each worker, in the order in which they were given.
  std::vector<WorkerReport> reports() const {
    std::vector<WorkerReport> reports;
    for (const Worker& worker : workers_) reports.push_back(worker.report);
    return reports;
  }

 private:
  using Clock = std::chrono::steady_clock;

  struct Worker {
    std::function<int()> work;
    WorkerReport report{WorkerState::running, 0, 0};
    pid_t pid = -1;  // -1: no process that has not been waited for
    int pidfd = -1;  // readable once the process has ended
  };

  void start(Worker& worker) {
    pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) {
      // The worker. From here on there is no way out but _exit.
      int status = 1;
      try {
        status = worker.work();
      } catch (...) {
      }
      ::_exit(status);
    }
    worker.pid = pid;
    worker.report.state = WorkerState::running;
    ++worker.report.starts;
    worker.pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (worker.pidfd < 0) throw std::system_error(errno, std::generic_category(), "pidfd_open");
  }

  bool any_running() const {
    return std::any_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.pid != -1; });
  }

  // The workers whose process has ended. Sleeps until there is one, or until the deadline, and then gives none.
  std::vector<Worker*> wait_for_ends(std::optional<Clock::time_point> deadline) {
    std::vector<Worker*> running;
    std::vector<pollfd> ends;
    for (Worker& worker : workers_) {
      if (worker.pid == -1) continue;
      running.push_back(&worker);
      ends.push_back({worker.pidfd, POLLIN, 0});
    }
    if (running.empty()) return {};

    int ready;
    do {
      int timeout = -1;
      if (deadline) {
        // Rounded up: a wait that ends a little too early would have to be followed by another.
        auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
        timeout = static_cast<int>(std::clamp<decltype(left)>(left, 0, INT_MAX));
      }
      ready = ::poll(ends.data(), ends.size(), timeout);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) throw std::system_error(errno, std::generic_category(), "poll");

    std::vector<Worker*> ended;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].revents != 0) ended.push_back(running[i]);
    }
    return ended;
  }

  // Waits for the worker's process, which frees its process id, and forgets that.
  int collect(Worker& worker) {
    int status = 0;
    while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (worker.pidfd >= 0) ::close(worker.pidfd);
    worker.pid = worker.pidfd = -1;
    worker.report.last_status = status;
    return status;
  }

  void signal_all(int signal) {
    for (Worker& worker : workers_) {
      if (worker.pid != -1) ::kill(worker.pid, signal);
    }
  }

  void end_all() {
    signal_all(SIGKILL);
    for (Worker& worker : workers_) {
      if (worker.pid != -1) collect(worker);
    }
  }

  int max_restarts_;
  std::vector<Worker> workers_;
};
