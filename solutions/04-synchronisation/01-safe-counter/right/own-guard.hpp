// A guard of its own on a lock of its own: what makes a lock safe to use is not where it comes from but the destructor.

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

  void increment() {
    guard in(taken_);
    ++value_;
  }

  long value() const {
    guard in(taken_);
    return value_;
  }

  bool increment_below(long limit) {
    guard in(taken_);
    if (value_ >= limit) return false;
    ++value_;
    return true;
  }

  void update(const std::function<long(long)>& change) {
    guard in(taken_);
    value_ = change(value_);
  }

 private:
  struct guard {
    std::atomic<int>& taken;
    explicit guard(std::atomic<int>& word) : taken(word) {
      while (taken.exchange(1) == 1) taken.wait(1);
    }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
    ~guard() {
      taken = 0;
      taken.notify_one();
    }
  };

  mutable std::atomic<int> taken_ = 0;
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
