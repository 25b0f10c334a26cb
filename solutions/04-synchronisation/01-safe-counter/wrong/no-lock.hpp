// Counts without a lock, since ++ is one short operator: but it reads, adds and writes, and what another thread wrote
// in between is lost.
// caught: tsan, SafeCounter.CountsEveryIncrement, data race

#pragma once

#include <functional>
#include <thread>
#include <vector>

class SafeCounter {
 public:
  SafeCounter() = default;
  SafeCounter(const SafeCounter&) = delete;
  SafeCounter& operator=(const SafeCounter&) = delete;

  void increment() { ++value_; }

  long value() const { return value_; }

  bool increment_below(long limit) {
    if (value_ >= limit) return false;
    ++value_;
    return true;
  }

  void update(const std::function<long(long)>& change) { value_ = change(value_); }

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
