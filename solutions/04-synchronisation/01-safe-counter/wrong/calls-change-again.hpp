// Needs no lock at all: computes the new number and writes it if nothing has changed, else begins again. No update is
// lost, but `change`, which may do more than to compute, is called more often than it was asked for.
// caught: explore, SafeCounter.UpdatesAsAWhole, wrong answer

#pragma once

#include <atomic>
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
    long seen = value_;
    while (seen < limit) {
      if (value_.compare_exchange_weak(seen, seen + 1)) return true;
    }
    return false;
  }

  void update(const std::function<long(long)>& change) {
    long seen = value_;
    while (!value_.compare_exchange_weak(seen, change(seen))) {
    }
  }

 private:
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
