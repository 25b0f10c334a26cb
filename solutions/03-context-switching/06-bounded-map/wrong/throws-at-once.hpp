// Wakes the caller as soon as a call has thrown, since the result is known by then: it gets the exception while other
// workers are still in the function, with everything that it refers to.
// caught: explore, BoundedMap.ThrowsWhenAllCallsHaveEnded, wrong answer

#pragma once

#include <algorithm>
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
    struct Shared {
      std::vector<Item> items;
      Function function;
      std::vector<std::optional<Result>> results;
    };
    auto shared = std::make_shared<Shared>(Shared{items, std::move(function), {}});
    shared->results.resize(items.size());
    run_all(items.size(),
            [shared](std::size_t index) { shared->results[index].emplace(shared->function(shared->items[index])); });

    std::vector<Result> values;
    values.reserve(items.size());
    for (std::optional<Result>& result : shared->results) values.push_back(std::move(*result));
    return values;
  }

 private:
  struct Call {
    std::function<void(std::size_t)> call_for;
    std::size_t size = 0;
    std::size_t begun = 0;
    std::size_t ended = 0;
    std::exception_ptr exception;
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
    call.finished.wait(lock, [&] { return call.ended == call.size || call.exception != nullptr; });
    if (call.exception != nullptr) std::rethrow_exception(call.exception);
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
    std::exception_ptr exception;
    try {
      call.call_for(index);
    } catch (...) {
      exception = std::current_exception();
    }
    lock.lock();
    if (exception != nullptr && call.exception == nullptr) call.exception = exception;
    if (++call.ended == call.size || call.exception != nullptr) call.finished.notify_one();
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
