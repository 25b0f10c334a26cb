// Each call has an atomic index of the next item, and a latch; what is queued is a ticket for each worker to help with
// the call, and who has one claims items until there are none: the lock is taken per ticket and not per item.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <latch>
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
    Call(std::size_t call_size, std::function<void(std::size_t)> function)
        : call_for(std::move(function)), size(call_size), left(static_cast<std::ptrdiff_t>(call_size)) {}

    // Calls for the items that nobody has begun.
    void help() {
      for (std::size_t index; (index = next++) < size;) {
        call_for(index);
        left.count_down();
      }
    }

    std::function<void(std::size_t)> call_for;  // not called any more once map() has returned
    const std::size_t size;
    std::atomic<std::size_t> next = 0;
    std::latch left;
  };

  void run_all(std::size_t size, std::function<void(std::size_t)> call_for) {
    if (size == 0) return;
    auto call = std::make_shared<Call>(size, std::move(call_for));
    {
      std::lock_guard lock(mutex_);
      tickets_.insert(tickets_.end(), std::min(size, workers_.size()), call);
    }
    changed_.notify_all();
    if (is_worker()) call->help();
    call->left.wait();
  }

  void work() {
    while (true) {
      std::shared_ptr<Call> call;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !tickets_.empty() || closing_; });
        if (tickets_.empty()) return;
        call = std::move(tickets_.front());
        tickets_.pop_front();
      }
      call->help();
    }
  }

  bool is_worker() const {
    return std::any_of(workers_.begin(), workers_.end(),
                       [](const std::thread& worker) { return worker.get_id() == std::this_thread::get_id(); });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Call>> tickets_;  // some of them come too late, when all items have been begun
  bool closing_ = false;
  std::vector<std::thread> workers_;
};
