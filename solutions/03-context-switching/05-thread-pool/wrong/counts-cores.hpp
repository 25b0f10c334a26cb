// Asks the standard library for the number of cores: right on a laptop, but under taskset(1), and in a container with a
// CPU set, most of the workers wait for a turn on the CPUs that are allowed.
// caught: plain, AllowedCpus.AreThoseInTheAffinityMask, wrong answer

#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

inline std::size_t allowed_cpus(const std::filesystem::path& cgroup_mount = "/sys/fs/cgroup",
                                const std::filesystem::path& membership = "/proc/self/cgroup") {
  std::size_t cpus = std::max(std::thread::hardware_concurrency(), 1U);
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
  explicit ThreadPool(std::size_t workers = allowed_cpus()) {
    if (workers == 0) throw std::invalid_argument("ThreadPool: no workers");
    for (std::size_t i = 0; i < workers; ++i) workers_.emplace_back([queue = queue_] { work(*queue); });
  }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  ~ThreadPool() {
    shutdown();
    for (std::thread& worker : workers_) {
      if (worker.get_id() == std::this_thread::get_id()) {
        worker.detach();
      } else {
        worker.join();
      }
    }
  }

  std::size_t size() const { return workers_.size(); }

  template <typename Function>
  auto submit(Function function) -> std::future<std::invoke_result_t<Function&>> {
    auto task = std::make_shared<std::packaged_task<std::invoke_result_t<Function&>()>>(std::move(function));
    auto future = task->get_future();
    {
      std::lock_guard lock(queue_->mutex);
      if (queue_->closed) throw std::runtime_error("ThreadPool: submit() after shutdown()");
      queue_->tasks.emplace_back([task] { (*task)(); });
    }
    queue_->changed.notify_one();
    return future;
  }

  void shutdown() {
    {
      std::lock_guard lock(queue_->mutex);
      queue_->closed = true;
    }
    queue_->changed.notify_all();
  }

 private:
  struct Queue {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> tasks;
    bool closed = false;
  };

  static void work(Queue& queue) {
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(queue.mutex);
        queue.changed.wait(lock, [&] { return !queue.tasks.empty() || queue.closed; });
        if (queue.tasks.empty()) return;
        task = std::move(queue.tasks.front());
        queue.tasks.pop_front();
      }
      task();
    }
  }

  std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  std::vector<std::thread> workers_;
};
