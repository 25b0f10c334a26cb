// Each worker writes its report into a pipe that all of them share, and the parent reads until the last end is closed.

#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <system_error>
#include <vector>

struct WorkerReport {
  int index;
  pid_t pid;
  pid_t parent_pid;
  bool succeeded;
};

inline std::vector<WorkerReport> spawn_workers(int count, const std::function<void(int)>& work) {
  if (count < 0) throw std::invalid_argument("spawn_workers: count is negative");
  int ends[2];
  if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  std::vector<pid_t> started;
  for (int index = 0; index < count; ++index) {
    pid_t pid = ::fork();
    if (pid == 0) {
      ::close(ends[0]);
      WorkerReport report{index, ::getpid(), ::getppid(), false};
      // Less than PIPE_BUF bytes go in as a whole, whoever else writes (pipe(7)).
      if (::write(ends[1], &report, sizeof(report)) != sizeof(report)) ::_exit(2);
      ::close(ends[1]);
      try {
        work(index);
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    if (pid < 0) {
      int error = errno;
      ::close(ends[0]);
      ::close(ends[1]);
      for (pid_t other : started) ::kill(other, SIGKILL);
      for (pid_t other : started) ::waitpid(other, nullptr, 0);
      throw std::system_error(error, std::generic_category(), "fork");
    }
    started.push_back(pid);
  }
  ::close(ends[1]);

  std::vector<WorkerReport> reports;
  WorkerReport report{};
  while (::read(ends[0], &report, sizeof(report)) == sizeof(report)) reports.push_back(report);
  ::close(ends[0]);

  std::sort(reports.begin(), reports.end(), [](auto& left, auto& right) { return left.index < right.index; });
  for (WorkerReport& each : reports) {
    int status = 0;
    ::waitpid(each.pid, &status, 0);
    each.succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return reports;
}
