// Whoever writes takes the lock; the number itself is atomic, so that value() reads it without one, even while an
// update is under way.

#pragma once

#include <atomic>
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
    std::lock_guard lock(mutex_);  // nobody else writes
    value_ = value_ + 1;
  }

  long value() const { return value_; }

  bool increment_below(long limit) {
    std::lock_guard lock(mutex_);
    if (value_ >= limit) return false;
    value_ = value_ + 1;
    return true;
  }

  void update(const std::function<long(long)>& change) {
    std::lock_guard lock(mutex_);
    value_ = change(value_);
  }

 private:
  std::mutex mutex_;
  std::atomic<long> value_ = 0;
};

inline void count_in_threads(SafeCounter& counter, int threads, int times) {
  std::vector<std::jthread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&counter, times] {
      for (int n = 0; n < times; ++n) counter.increment();
    });
  }
}  // each std::jthread joins when it is destroyed
