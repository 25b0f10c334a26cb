// Every item is an entry of one queue, first come, first served; a nested call looks for its own entries there and
// takes them out.

#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
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
    std::size_t left;
    std::condition_variable finished;
  };
  struct Entry {
    Call* call;
    std::size_t index;
  };

  void run_all(std::size_t size, std::function<void(std::size_t)> call_for) {
    Call call{.call_for = std::move(call_for), .left = size, .finished = {}};
    std::unique_lock lock(mutex_);
    for (std::size_t index = 0; index < size; ++index) {
      entries_.push_back({&call, index});
      changed_.notify_one();
    }
    auto mine = [&](const Entry& entry) { return entry.call == &call; };
    while (is_worker()) {
      auto found = std::find_if(entries_.begin(), entries_.end(), mine);
      if (found == entries_.end()) break;
      run(found, lock);
    }
    call.finished.wait(lock, [&] { return call.left == 0; });
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return !entries_.empty() || closing_; });
      if (entries_.empty()) return;
      run(entries_.begin(), lock);
    }
  }

  void run(std::list<Entry>::iterator position, std::unique_lock<std::mutex>& lock) {
    const Entry entry = *position;
    entries_.erase(position);
    lock.unlock();
    entry.call->call_for(entry.index);
    lock.lock();
    if (--entry.call->left == 0) entry.call->finished.notify_one();
  }

  bool is_worker() const {
    return std::any_of(workers_.begin(), workers_.end(),
                       [](const std::thread& worker) { return worker.get_id() == std::this_thread::get_id(); });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Entry> entries_;
  bool closing_ = false;
  std::vector<std::thread> workers_;
};
