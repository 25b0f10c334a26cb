// Catches whatever `change` throws, so as to be sure to unlock, and leaves it at that: the lock is free, and the caller
// believes that the update was made.
// caught: plain, SafeCounter.PassesAnExceptionOnAndGoesOn, wrong answer

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
    std::lock_guard lock(mutex_);
    if (value_ >= limit) return false;
    ++value_;
    return true;
  }

  void update(const std::function<long(long)>& change) {
    mutex_.lock();
    try {
      value_ = change(value_);
    } catch (...) {
    }
    mutex_.unlock();
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
