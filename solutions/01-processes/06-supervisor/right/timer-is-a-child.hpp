// Waits for any child with a plain blocking waitpid. The deadline is a child too: a process that does nothing but sleep
// for the length of the grace, so that the end of a worker and the end of the grace are the same kind of event.

#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <functional>
#include <map>
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
  Supervisor(const std::vector<std::function<int()>>& workers, int max_restarts)
      : works_(workers), reports_(workers.size(), {WorkerState::running, 0, 0}), max_restarts_(max_restarts) {
    try {
      for (std::size_t index = 0; index < works_.size(); ++index) start(index);
    } catch (...) {
      end_all();
      throw;
    }
  }

  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  ~Supervisor() { end_all(); }

  bool wait_any() {
    // The first wait sleeps; the others take what has ended besides.
    for (int options = 0; !running_.empty(); options = WNOHANG) {
      int status = 0;
      pid_t pid = wait_for(-1, &status, options);
      if (pid == 0) break;
      WorkerReport& report = take(pid, status);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        report.state = WorkerState::finished;
      } else if (report.starts > max_restarts_) {
        report.state = WorkerState::gave_up;
      } else {
        start(static_cast<std::size_t>(&report - reports_.data()));
      }
    }
    return !running_.empty();
  }

  void wait_all() {
    while (wait_any()) {
    }
  }

  void stop(std::chrono::milliseconds grace) {
    if (running_.empty()) return;
    for (auto [pid, index] : running_) ::kill(pid, SIGTERM);
    pid_t timer = start_timer(grace);
    while (!running_.empty()) {
      int status = 0;
      pid_t pid = wait_for(-1, &status, 0);
      if (pid == timer) {
        timer = -1;
        for (auto [other, index] : running_) ::kill(other, SIGKILL);
      } else {
        take(pid, status).state = WorkerState::stopped;
      }
    }
    if (timer != -1) {
      ::kill(timer, SIGKILL);
      wait_for(timer, nullptr, 0);
    }
  }

  std::vector<WorkerReport> reports() const { return reports_; }

 private:
  void start(std::size_t index) {
    pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) {
      int status = 1;
      try {
        status = works_[index]();
      } catch (...) {
      }
      ::_exit(status);
    }
    running_[pid] = index;
    reports_[index].state = WorkerState::running;
    ++reports_[index].starts;
  }

  static pid_t start_timer(std::chrono::milliseconds grace) {
    pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid > 0) return pid;
    timespec left{grace.count() / 1000, grace.count() % 1000 * 1'000'000};
    while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    ::_exit(0);
  }

  static pid_t wait_for(pid_t child, int* status, int options) {
    pid_t pid;
    while ((pid = ::waitpid(child, status, options)) < 0 && errno == EINTR) {
    }
    return pid;
  }

  // The report of the worker whose process was waited for; the process id is forgotten.
  WorkerReport& take(pid_t pid, int status) {
    auto entry = running_.find(pid);
    WorkerReport& report = reports_[entry->second];
    running_.erase(entry);
    report.last_status = status;
    return report;
  }

  void end_all() {
    for (auto [pid, index] : running_) ::kill(pid, SIGKILL);
    for (auto [pid, index] : running_) wait_for(pid, nullptr, 0);
  }

  std::vector<std::function<int()>> works_;
  std::vector<WorkerReport> reports_;
  std::map<pid_t, std::size_t> running_;  // processes that have not been waited for, and their worker
  int max_restarts_;
};
