#pragma once

// 3.6 bounded-map: apply a function to any number of items on a bounded number of threads, also where the function does
// the same again.
//
// Python's `list(executor.map(function, items))` of a `concurrent.futures.ThreadPoolExecutor`, but a function may call
// map() itself, which there ends in a deadlock as soon as every worker waits.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

/// A fixed number of threads, the workers, that call functions for the items of any number of calls of map().
///
/// No item waits while a worker has none. Everybody who waits here sleeps until there is something to do: nobody spins.
///
/// map() may be called from any thread at any time, also from a function that a worker is calling for map(), to any
/// depth. Nobody destroys the BoundedMap while a call is under way.
class BoundedMap {
 public:
  /// No workers throws std::invalid_argument.
  explicit BoundedMap(std::size_t workers) {
    if (workers == 0) throw std::invalid_argument("BoundedMap: no workers");
    for (std::size_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }

  BoundedMap(const BoundedMap&) = delete;
  BoundedMap& operator=(const BoundedMap&) = delete;

  /// Ends the workers.
  ~BoundedMap() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  /// Calls `function(item)` once for each item, in the workers alone: in no other thread, and so never in more at a
  /// time than there are workers. Returns the results in the order of the items, once all are there. `function` returns
  /// a value, and may be called by several workers at the same time.
  ///
  /// If some of the calls throw, the others are made all the same, and when all have ended, the exception of the first
  /// of those items is thrown: first in the order of the items, not in time.
  ///
  /// In a worker, a nested call does not wait for a free worker, for there may be none: the worker calls `function`
  /// itself for those items of the nested call that no other worker has begun. Only for those. If it took others, whose
  /// functions might call map() again, its stack would grow with the number of items.
  template <typename Item, typename Function>
  auto map(const std::vector<Item>& items, Function function)
      -> std::vector<std::invoke_result_t<Function&, const Item&>> {
    using Result = std::invoke_result_t<Function&, const Item&>;
    // Not a vector of results: if they were bool, eight of them would share a byte that several workers write.
    std::vector<std::optional<Result>> results(items.size());
    std::vector<std::exception_ptr> exceptions(items.size());
    run_all(items.size(), [&](std::size_t index) {
      try {
        results[index].emplace(function(items[index]));
      } catch (...) {
        exceptions[index] = std::current_exception();
      }
    });

    for (const std::exception_ptr& exception : exceptions) {
      if (exception != nullptr) std::rethrow_exception(exception);
    }
    std::vector<Result> values;
    values.reserve(results.size());
    for (std::optional<Result>& result : results) values.push_back(std::move(*result));
    return values;
  }

 private:
  // One call of map(), on the stack of its caller. Everything that changes is under the mutex.
  struct Call {
    std::function<void(std::size_t)> call_for;
    std::size_t size;
    std::size_t begun = 0;
    std::size_t ended = 0;
    std::condition_variable finished;
  };

  void run_all(std::size_t size, std::function<void(std::size_t)> call_for) {
    if (size == 0) return;
    Call call{.call_for = std::move(call_for), .size = size, .finished = {}};
    std::unique_lock lock(mutex_);
    open_.push_back(&call);
    changed_.notify_all();
    if (is_worker()) {
      while (call.begun < call.size) run_one_of(call, lock);
    }
    // What is left has been begun by others. None of them waits for this thread: whatever they wait for is nested
    // deeper.
    call.finished.wait(lock, [&] { return call.ended == call.size; });
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return !open_.empty() || closing_; });
      if (open_.empty()) return;
      run_one_of(*open_.back(), lock);  // the newest call: the nested ones first, for others wait for them
    }
  }

  // Gives the lock back while the function runs.
  void run_one_of(Call& call, std::unique_lock<std::mutex>& lock) {
    const std::size_t index = call.begun++;
    if (call.begun == call.size) std::erase(open_, &call);
    lock.unlock();
    call.call_for(index);
    lock.lock();
    // Under the lock: once it has seen that all have ended, the caller takes its Call away.
    if (++call.ended == call.size) call.finished.notify_one();
  }

  bool is_worker() const {
    return std::any_of(workers_.begin(), workers_.end(),
                       [](const std::thread& worker) { return worker.get_id() == std::this_thread::get_id(); });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Call*> open_;  // those with items that nobody has begun
  bool closing_ = false;
  std::vector<std::thread> workers_;
};
