// Starts a crashed worker again without an end: it heals every crash that has passed, but a worker that crashes at
// its start is started some hundred times a second, for ever.
// caught: plain, Supervisor.GivesUpAWorkerThatCrashesTooOften, wrong answer

#pragma once

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

enum class WorkerState { running, finished, gave_up, stopped };

struct WorkerReport {
  WorkerState state;
  int starts;
  int last_status;
};

class Supervisor {
 public:
  Supervisor(const std::vector<std::function<int()>>& workers, int max_restarts) {
    (void)max_restarts;
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

  ~Supervisor() { end_all(); }

  bool wait_any() {
    for (Worker* worker : wait_for_ends(std::nullopt)) {
      int status = collect(*worker);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        worker->report.state = WorkerState::finished;
      } else {
        start(*worker);
      }
    }
    return any_running();
  }

  void wait_all() {
    while (wait_any()) {
    }
  }

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

  std::vector<Worker> workers_;
};
