// Counts the items that have ended in an atomic and notifies without the lock: but the caller has looked at the count
// and is not asleep yet, so nobody hears of the last one.
// caught: explore, BoundedMap.ReturnsWhenTheLastItemIsDone, deadlock

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

class BoundedMap {
 public:
  explicit BoundedMap(std::size_t workers) {
    if (workers == 0) throw std::invalid_argument("BoundedMap: no workers");
    for (std::size_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }

  BoundedMap(const BoundedMap&) = delete;
  BoundedMap& operator=(const BoundedMap&) = delete;

  ~BoundedMap() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  template <typename Item, typename Function>
  auto map(const std::vector<Item>& items, Function function)
      -> std::vector<std::invoke_result_t<Function&, const Item&>> {
    using Result = std::invoke_result_t<Function&, const Item&>;
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
  struct Call {
    std::function<void(std::size_t)> call_for;
    std::size_t size = 0;
    std::size_t begun = 0;
    std::atomic<std::size_t> ended = 0;
    std::condition_variable finished;
  };

  void run_all(std::size_t size, std::function<void(std::size_t)> call_for) {
    if (size == 0) return;
    auto shared = std::make_shared<Call>();
    Call& call = *shared;
    call.call_for = std::move(call_for);
    call.size = size;
    std::unique_lock lock(mutex_);
    open_.push_back(shared);
    changed_.notify_all();
    if (is_worker()) {
      while (call.begun < call.size) run_one_of(shared, lock);
    }
    // deeper.
    call.finished.wait(lock, [&] { return call.ended == call.size; });
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return !open_.empty() || closing_; });
      if (open_.empty()) return;
      run_one_of(open_.back(), lock);  // the newest call: the nested ones first, for others wait for them
    }
  }

  void run_one_of(std::shared_ptr<Call> call_here, std::unique_lock<std::mutex>& lock) {
    Call& call = *call_here;
    const std::size_t index = call.begun++;
    if (call.begun == call.size) std::erase(open_, call_here);
    lock.unlock();
    call.call_for(index);
    if (++call.ended == call.size) call.finished.notify_one();
    lock.lock();
  }

  bool is_worker() const {
    return std::any_of(workers_.begin(), workers_.end(),
                       [](const std::thread& worker) { return worker.get_id() == std::this_thread::get_id(); });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Call>> open_;  // those with items that nobody has begun
  bool closing_ = false;
  std::vector<std::thread> workers_;
};
