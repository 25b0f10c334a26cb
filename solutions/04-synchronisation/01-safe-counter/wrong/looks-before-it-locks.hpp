// Builds increment_below() out of value() and increment(), which are both safe: but between the two nobody has the
// lock, and what was looked at is no longer so.
// caught: explore, SafeCounter.StaysWithinTheLimit, wrong answer

#pragma once

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

class SafeCounter {
 public:
  SafeCounter() = default;
  SafeCounter(const SafeCounter&) = delete;
  SafeCounter& operator=(const SafeCounter&) = delete;

  void increment() {
    std::lock_guard lock(mutex_);
    ++value_;
  }

  long value() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

  bool increment_below(long limit) {
    if (value() >= limit) return false;
    increment();
    return true;
  }

  void update(const std::function<long(long)>& change) {
    std::lock_guard lock(mutex_);
    value_ = change(value_);
  }

 private:
  mutable std::mutex mutex_;  // guards value_; mutable, for reading is locking too
  long value_ = 0;
};

inline void count_in_threads(SafeCounter& counter, int threads, int times) {
  std::vector<std::jthread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&counter, times] {
      for (int n = 0; n < times; ++n) counter.increment();
    });
  }
}  // each std::jthread joins when it is destroyed
