// Starts a worker and waits for it before it starts the next: the loop is tidy and every answer is right, but there is
// never more than one worker alive, so four of them take four times as long.
// caught: plain, SpawnWorkers.KeepsAllWorkersAliveAtTheSameTime, over-synchronised

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
  for (int index = 0; index < count; ++index) {
    pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) {
      try {
        work(index);
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    reports.push_back({index, pid, ::getpid(), WIFEXITED(status) && WEXITSTATUS(status) == 0});
  }
  return reports;
}
