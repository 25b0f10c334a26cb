#pragma once

// 3.5 thread-pool: run any number of tasks on a fixed number of threads, as many as there are CPUs to run on.
//
// Python's `concurrent.futures.ThreadPoolExecutor`: the destructor is `shutdown(wait=True)`, which the `with` statement
// calls, and shutdown() is `shutdown(wait=False)`. allowed_cpus() is more than `os.process_cpu_count()` (Python 3.13),
// which does not look at cgroups.

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

/// How many CPUs the calling thread can keep busy, at least 1: the least of
///
/// - the CPUs in its affinity mask (sched_getaffinity(2));
/// - the CPU time that its cgroup may use, and each cgroup above it up to the root. In cgroup v2 that is the file
///   `cpu.max` in the cgroup's folder: "150000 100000" is 150,000 us of CPU time in each 100,000 us, 1.5 CPUs. It is
///   rounded up, to 2. "max 100000" is no limit.
///
/// The cgroup is the rest of the line that begins with "0::" in the file `membership`: after "0::/pod/app" it is
/// `cgroup_mount`/pod/app, and the root is `cgroup_mount`. Where there is no such file, no such line (cgroup v1) or no
/// `cpu.max`, there is no limit, and no error.
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

/// A task whose result has any type: std::move_only_function<void()> of C++23, as far as it is needed here. It lies in
/// the queue itself, which spares each task an allocation in one thread that another one frees.
class Job {
 public:
  template <typename Result>
  explicit Job(std::packaged_task<Result()> task) : operations_(&operations_for<Result>) {
    static_assert(sizeof(task) <= sizeof(memory_) && alignof(decltype(task)) <= alignof(Memory));
    new (&memory_) std::packaged_task<Result()>(std::move(task));
  }
  Job(Job&& other) noexcept : operations_(other.operations_) { operations_->move(&other.memory_, &memory_); }
  ~Job() { operations_->destroy(&memory_); }

  void run() { operations_->run(&memory_); }

 private:
  struct Memory {
    alignas(void*) std::byte bytes[2 * sizeof(void*)];
  };
  struct Operations {
    void (*run)(void*);
    void (*move)(void* from, void* to);
    void (*destroy)(void*);
  };
  template <typename Result>
  static constexpr Operations operations_for = {
      [](void* task) { (*static_cast<std::packaged_task<Result()>*>(task))(); },
      [](void* from, void* to) {
        new (to) std::packaged_task<Result()>(std::move(*static_cast<std::packaged_task<Result()>*>(from)));
      },
      [](void* task) { std::destroy_at(static_cast<std::packaged_task<Result()>*>(task)); },
  };

  const Operations* operations_;
  Memory memory_;
};

/// A fixed number of threads, the workers, that run the tasks that are submitted. Tasks run in the workers and nowhere
/// else, and the pool has no other threads.
///
/// No task waits while a worker has none. Workers that have nothing to do sleep: they neither spin nor look again from
/// time to time.
///
/// submit(), shutdown() and size() may be called from any thread at any time, also from a task.
class ThreadPool {
 public:
  /// No workers throws std::invalid_argument.
  explicit ThreadPool(std::size_t workers = allowed_cpus()) {
    if (workers == 0) throw std::invalid_argument("ThreadPool: no workers");
    for (std::size_t i = 0; i < workers; ++i) {
      workers_.emplace_back([tasks = tasks_] {
        std::shared_ptr<Batch> batch;
        while ((batch = tasks->next_batch(batch)) != nullptr) {
          while (std::optional<Job> job = batch->take()) job->run();
        }
      });
    }
  }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Shuts the pool down, and waits until every task has been run and the workers have ended.
  ///
  /// A task may be the last owner of its own pool, and so call the destructor. Then it does not wait for the task that
  /// it is called from. The tasks that have been submitted are run all the same, in the destructor or later, and after
  /// that the workers end.
  ~ThreadPool() {
    shutdown();
    for (std::thread& worker : workers_) {
      if (worker.get_id() == std::this_thread::get_id()) {
        worker.detach();  // it runs the task that this is called from, and nobody is left to join it
      } else {
        worker.join();
      }
    }
  }

  /// The number of workers.
  std::size_t size() const { return workers_.size(); }

  /// Has a worker call `function()`, once, and does not wait for that. The future gets what it returns, or the
  /// exception that it throws. `function` is moved and never copied; so is its result.
  ///
  /// After shutdown() it throws std::runtime_error instead, and `function` is never called.
  template <typename Function>
  auto submit(Function function) -> std::future<std::invoke_result_t<Function&>> {
    std::packaged_task<std::invoke_result_t<Function&>()> task(std::move(function));
    auto future = task.get_future();
    tasks_->put(Job(std::move(task)));
    return future;
  }

  /// From now on, no task is accepted. Every task that has been accepted is still run. Does not wait for them. Calling
  /// it again does nothing.
  void shutdown() { tasks_->close(); }

 private:
  // Tasks that were submitted one after the other. Each worker takes the next one from it, without a lock.
  class Batch {
   public:
    explicit Batch(std::vector<Job> jobs) : jobs_(std::move(jobs)) {}

    std::optional<Job> take() {
      std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= jobs_.size()) return std::nullopt;
      return std::move(jobs_[index]);
    }

   private:
    std::vector<Job> jobs_;
    std::atomic<std::size_t> next_ = 0;
  };

  // What the workers need. They own it too, so the pool may go while one of them is still in a task.
  class Tasks {
   public:
    void put(Job job) {
      {
        std::lock_guard lock(mutex_);
        if (closed_) throw std::runtime_error("ThreadPool: submit() after shutdown()");
        submitted_.push_back(std::move(job));
      }
      changed_.notify_one();
    }

    void close() {
      {
        std::lock_guard lock(mutex_);
        closed_ = true;
      }
      changed_.notify_one();
    }

    // The batch to take from when `done` has no more; none if there will be no more tasks.
    //
    // One worker at a time has the turn. It takes all that was submitted at once, so those who submit seldom meet a
    // worker; or it waits for something to be submitted, while the others sleep in the queue for the turn. So nobody
    // has to count who sleeps: a notification wakes the one that waits, and the end of its turn wakes the next.
    std::shared_ptr<Batch> next_batch(const std::shared_ptr<Batch>& done) {
      std::lock_guard turn(turn_);
      if (current_ == done) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !submitted_.empty() || closed_; });
        current_ = submitted_.empty() ? nullptr : std::make_shared<Batch>(std::exchange(submitted_, {}));
      }
      return current_;
    }

   private:
    std::mutex mutex_;  // for submitted_ and closed_
    std::condition_variable changed_;
    std::vector<Job> submitted_;
    bool closed_ = false;

    std::mutex turn_;  // for current_; taken before mutex_
    std::shared_ptr<Batch> current_;
  };

  std::shared_ptr<Tasks> tasks_ = std::make_shared<Tasks>();
  std::vector<std::thread> workers_;
};
