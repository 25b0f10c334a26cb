// Sleeps for 10 ms between two looks: the CPU time is small enough to be overlooked, but the process never rests,
// and sees every end late.
// caught: plain, Supervisor.SleepsUntilAWorkerEnds, wrong answer

#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
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
  Supervisor(const std::vector<std::function<int()>>& workers, int max_restarts) : max_restarts_(max_restarts) {
    ::sigemptyset(&child_signal_);
    ::sigaddset(&child_signal_, SIGCHLD);
    // From before the first fork: an end between a look at the workers and the wait must not be lost.
    ::pthread_sigmask(SIG_BLOCK, &child_signal_, &callers_mask_);
    for (const auto& work : workers) workers_.push_back({work});
    try {
      for (Worker& worker : workers_) start(worker);
    } catch (...) {
      end_all();
      throw;
    }
  }

  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  ~Supervisor() { end_all(); }

  bool wait_any() {
    for (Worker* worker : wait_for_ends(std::nullopt)) {
      int status = worker->report.last_status;
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

  void wait_all() {
    while (wait_any()) {
    }
  }

  void stop(std::chrono::milliseconds grace) {
    std::optional<Clock::time_point> deadline = Clock::now() + grace;
    signal_all(SIGTERM);
    while (any_running()) {
      std::vector<Worker*> ended = wait_for_ends(deadline);
      for (Worker* worker : ended) worker->report.state = WorkerState::stopped;
      if (ended.empty()) {
        signal_all(SIGKILL);
        deadline.reset();
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
    pid_t pid = -1;
  };

  void start(Worker& worker) {
    pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) {
      ::pthread_sigmask(SIG_SETMASK, &callers_mask_, nullptr);
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
  }

  bool any_running() const {
    return std::any_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.pid != -1; });
  }

  // Waits for every process that has ended; sleeps while there is none, until the deadline.
  std::vector<Worker*> wait_for_ends(std::optional<Clock::time_point> deadline) {
    std::vector<Worker*> ended;
    while (any_running()) {
      for (Worker& worker : workers_) {
        if (worker.pid == -1 || ::waitpid(worker.pid, &worker.report.last_status, WNOHANG) != worker.pid) continue;
        worker.pid = -1;
        ended.push_back(&worker);
      }
      if (!ended.empty()) break;
      if (!deadline) {
        ::usleep(10'000);
        continue;
      }
      auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(*deadline - Clock::now()).count();
      if (left <= 0) break;
      timespec limit{left / 1'000'000'000, left % 1'000'000'000};
      ::sigtimedwait(&child_signal_, nullptr, &limit);
    }
    return ended;
  }

  void signal_all(int signal) {
    for (Worker& worker : workers_) {
      if (worker.pid != -1) ::kill(worker.pid, signal);
    }
  }

  void end_all() {
    signal_all(SIGKILL);
    for (Worker& worker : workers_) {
      while (worker.pid != -1 && ::waitpid(worker.pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    ::pthread_sigmask(SIG_SETMASK, &callers_mask_, nullptr);
  }

  int max_restarts_;
  std::vector<Worker> workers_;
  sigset_t child_signal_, callers_mask_;
};
