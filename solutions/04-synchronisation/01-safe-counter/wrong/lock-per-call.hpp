// Makes the mutex where it is needed, in the function: every call takes a lock, and every call takes another one.
// caught: tsan, SafeCounter.CountsEveryIncrement, data race

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
    std::mutex mutex;
    std::lock_guard lock(mutex);
    ++value_;
  }

  long value() const {
    std::mutex mutex;
    std::lock_guard lock(mutex);
    return value_;
  }

  bool increment_below(long limit) {
    std::mutex mutex;
    std::lock_guard lock(mutex);
    if (value_ >= limit) return false;
    ++value_;
    return true;
  }

  void update(const std::function<long(long)>& change) {
    std::mutex mutex;
    std::lock_guard lock(mutex);
    value_ = change(value_);
  }

 private:
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
