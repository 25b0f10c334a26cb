// Starts threads: all the answers of work() are there, and they do run side by side, but in one process with one process
// id, and one crash takes all of them down.
// caught: plain, SpawnWorkers.ReportsTheIndexThePidAndTheParentOfEachWorker, wrong answer

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

#include <thread>

inline std::vector<WorkerReport> spawn_workers(int count, const std::function<void(int)>& work) {
  if (count < 0) throw std::invalid_argument("spawn_workers: count is negative");
  std::vector<WorkerReport> reports(static_cast<std::size_t>(count));
  std::vector<std::thread> workers;
  for (int index = 0; index < count; ++index) {
    workers.emplace_back([&, index] {
      work(index);
      reports[static_cast<std::size_t>(index)] = {index, ::getpid(), ::getppid(), true};
    });
  }
  for (std::thread& worker : workers) worker.join();
  return reports;
}
