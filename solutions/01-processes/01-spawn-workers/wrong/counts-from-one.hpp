// Counts the workers from one, as people do: each has its share, but none has share 0, and the last asks for one that
// does not exist.
// caught: plain, SpawnWorkers.RunsTheWorkOnceForEachIndex, wrong answer

#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

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

  for (int index = 1; index <= count; ++index) {
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
