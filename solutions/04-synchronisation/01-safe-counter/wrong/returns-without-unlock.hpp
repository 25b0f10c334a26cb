// Locks and unlocks by hand and leaves in between by a return: as long as the limit is not reached all is well, and
// after that the counter is locked for ever.
// caught: plain, SafeCounter.RefusesToGoBeyondTheLimitAndGoesOn, deadlock

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
    mutex_.lock();
    if (value_ >= limit) return false;
    ++value_;
    mutex_.unlock();
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
