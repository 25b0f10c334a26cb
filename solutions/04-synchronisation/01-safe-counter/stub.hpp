#pragma once

// 4.1 safe-counter: a counter that several threads use at once, and that never miscounts.
//
// Python: `with lock: counter += 1`, where `lock` is a `threading.Lock`. In C++ the `with` is a std::lock_guard.

#include <functional>

#include "exercise/not_done.hpp"

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
    interleave::not_done();  //
  }

  /// The number now.
  long value() const {
    interleave::not_done();  //
  }

  /// Adds 1 if the number is less than `limit`, and returns whether it did. However many threads call this at once,
  /// they do not take the number beyond their limit.
  bool increment_below(long limit) {
    (void)limit;  // take this line out once you use it
    interleave::not_done();
  }

  /// Replaces the number n by change(n). Calls `change` once; no other change comes between the n that it is given and
  /// the number that it returns. If it throws, the number stays as it is, the exception goes on to the caller, and the
  /// counter can be used as before.
  ///
  /// `change` does not use this counter.
  void update(const std::function<long(long)>& change) {
    (void)change;  // take this line out once you use it
    interleave::not_done();
  }

  // What it is made of is up to you.
};

/// Starts `threads` threads, each of which increments `counter` `times` times, and returns when all have ended.
/// Both are 1 or more.
inline void count_in_threads(SafeCounter& counter, int threads, int times) {
  (void)counter, (void)threads, (void)times;  // take this line out once you use them
  interleave::not_done();
}
