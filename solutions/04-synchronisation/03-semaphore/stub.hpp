#pragma once

// 4.3 semaphore: let a limited number of threads in at a time.
//
// Python's `threading.Semaphore(n)`, with `acquire(timeout=...)` and `release(n)`; C++20's `std::counting_semaphore`.

#include <chrono>
#include <cstddef>

#include "exercise/not_done.hpp"

/// Holds permits. A thread that acquires one goes on; a thread that finds none waits until another thread releases one.
/// Permits belong to nobody: any thread may release, also one that has acquired nothing.
///
/// No permit is lost, and none is made up: the permits at the start and those released since are those acquired and
/// those still there. As long as a permit is there, no thread waits.
///
/// A thread that waits sleeps: it neither spins nor looks again from time to time, but is woken by release(). Which of
/// the waiting threads gets a permit is not specified.
///
/// What a thread did before release() is seen by the thread that acquires the permit.
///
/// All functions but the constructor may be called by any number of threads at the same time. Nobody destroys it while
/// a call is under way.
class Semaphore {
 public:
  /// `permits` is 0 or more; less throws std::invalid_argument.
  explicit Semaphore(std::ptrdiff_t permits) {
    (void)permits;  // take this line out once you use it
    interleave::not_done();
  }

  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Takes a permit, and waits for it if need be.
  void acquire() { interleave::not_done(); }

  /// Takes a permit if one is there, and does not wait. Returns whether it has one. Does not miss a permit that is
  /// there because another thread takes a different one at the same time.
  bool try_acquire() { interleave::not_done(); }

  /// Takes a permit, and waits for it for `timeout` at the most. Returns whether it has one; if not, it has taken none.
  /// A `timeout` of zero or less does not wait, but takes a permit that is there.
  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    (void)timeout;  // take this line out once you use it
    interleave::not_done();
  }

  /// Adds `n` permits and lets as many of the waiting threads go on. Less than 1 throws std::invalid_argument, and
  /// changes nothing.
  void release(std::ptrdiff_t n = 1) {
    (void)n;  // take this line out once you use it
    interleave::not_done();
  }
};
