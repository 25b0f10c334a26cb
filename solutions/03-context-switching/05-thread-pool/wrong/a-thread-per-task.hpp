// Starts a thread for each task and lets only so many of them run at a time: the bound holds for what runs, but 10,000
// tasks are 10,000 threads, each with a stack.
// caught: plain, ThreadPool.RunsTasksInItsWorkersOnly, wrong answer

#pragma once

#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

inline std::size_t allowed_cpus(const std::filesystem::path& cgroup_mount = "/sys/fs/cgroup",
                                const std::filesystem::path& membership = "/proc/self/cgroup") {
  cpu_set_t mask;
  std::size_t cpus = ::sched_getaffinity(0, sizeof(mask), &mask) == 0
                         ? static_cast<std::size_t>(CPU_COUNT(&mask))
                         : std::max(std::thread::hardware_concurrency(), 1U);
  std::ifstream groups(membership);
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    for (std::filesystem::path group = line.substr(4);; group = group.parent_path()) {
      std::ifstream file(cgroup_mount / group / "cpu.max");
      std::size_t quota = 0, period = 0;
      if (file >> quota >> period && period > 0)
        cpus = std::min(cpus, std::max((quota + period - 1) / period, std::size_t{1}));
      if (group.empty()) break;
    }
  }
  return cpus;
}

class ThreadPool {
 public:
  explicit ThreadPool(std::size_t workers = allowed_cpus()) : size_(workers) {
    if (workers == 0) throw std::invalid_argument("ThreadPool: no workers");
  }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  ~ThreadPool() {
    for (std::thread& thread : threads_) thread.join();
  }

  std::size_t size() const { return size_; }

  template <typename Function>
  auto submit(Function function) -> std::future<std::invoke_result_t<Function&>> {
    std::packaged_task<std::invoke_result_t<Function&>()> task(std::move(function));
    auto future = task.get_future();
    std::lock_guard lock(mutex_);
    if (closed_) throw std::runtime_error("ThreadPool: submit() after shutdown()");
    threads_.emplace_back([this, task = std::move(task)]() mutable {
      {
        std::unique_lock turn(mutex_);
        finished_.wait(turn, [this] { return running_ < size_; });
        ++running_;
      }
      task();
      {
        std::lock_guard turn(mutex_);
        --running_;
      }
      finished_.notify_one();
    });
    return future;
  }

  void shutdown() {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }

 private:
  const std::size_t size_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::size_t running_ = 0;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};
