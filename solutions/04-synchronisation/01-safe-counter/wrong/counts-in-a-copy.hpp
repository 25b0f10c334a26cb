// Hands the counter to the threads, and allows the copy that the compiler then asks for, which needs a mutex of its
// own: std::thread copies what it is given, so each thread counts alone, under a lock that nobody else has.
// caught: plain, CountInThreads.Counts400000InFourThreads, wrong answer

#pragma once

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

class SafeCounter {
 public:
  SafeCounter() = default;
  SafeCounter(const SafeCounter& other) : value_(other.value()) {}

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
    std::lock_guard lock(mutex_);
    value_ = change(value_);
  }

 private:
  mutable std::mutex mutex_;  // guards value_; mutable, for reading is locking too
  long value_ = 0;
};

inline void count_in_threads(SafeCounter& counter, int threads, int times) {
  auto count = [times](SafeCounter& shared) {
    for (int n = 0; n < times; ++n) shared.increment();
  };
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([counter, count]() mutable { count(counter); });
  }
  for (std::thread& each : running) each.join();
}
