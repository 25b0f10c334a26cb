// Locks where it writes and not in value(), which changes nothing: but a read beside a write is a data race too, and
// the one that reads has no claim to a number that was ever there.
// caught: tsan, SafeCounter.CanBeReadWhileOthersCount, data race

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

  long value() const { return value_; }

  bool increment_below(long limit) {
    std::lock_guard lock(mutex_);
    if (value_ >= limit) return false;
    ++value_;
    return true;
  }

  void update(const std::function<long(long)>& change) {
    std::lock_guard lock(mutex_);
    value_ = change(value_);
  }

 private:
  std::mutex mutex_;
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
