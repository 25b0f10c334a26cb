#pragma once

// 4.1 safe-counter: a counter that several threads use at once, and that never miscounts.
//
// Python: `with lock: counter += 1`, where `lock` is a `threading.Lock`. In C++ the `with` is a std::lock_guard.

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

/// A whole number that begins at 0. Any thread may call any function at any time, value() too; to each of them the
/// others happen before or after, never in between.
///
/// Each counter stands alone: what a thread does in update() of one keeps nobody from another one.
class SafeCounter {
 public:
  SafeCounter() = default;
  SafeCounter(const SafeCounter&) = delete;
  SafeCounter& operator=(const SafeCounter&) = delete;

  /// Adds 1.
  void increment() {
    std::lock_guard lock(mutex_);
    ++value_;
  }

  /// The number now.
  long value() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

  /// Adds 1 if the number is less than `limit`, and returns whether it did. However many threads call this at once,
  /// they do not take the number beyond their limit.
  bool increment_below(long limit) {
    std::lock_guard lock(mutex_);
    if (value_ >= limit) return false;
    ++value_;
    return true;
  }

  /// Replaces the number n by change(n). Calls `change` once; no other change comes between the n that it is given and
  /// the number that it returns. If it throws, the number stays as it is, the exception goes on to the caller, and the
  /// counter can be used as before.
  ///
  /// `change` does not use this counter.
  void update(const std::function<long(long)>& change) {
    std::lock_guard lock(mutex_);
    value_ = change(value_);
  }

 private:
  mutable std::mutex mutex_;  // guards value_; mutable, for reading is locking too
  long value_ = 0;
};

/// Starts `threads` threads, each of which increments `counter` `times` times, and returns when all have ended.
/// Both are 1 or more.
inline void count_in_threads(SafeCounter& counter, int threads, int times) {
  std::vector<std::jthread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&counter, times] {
      for (int n = 0; n < times; ++n) counter.increment();
    });
  }
}  // each std::jthread joins when it is destroyed
