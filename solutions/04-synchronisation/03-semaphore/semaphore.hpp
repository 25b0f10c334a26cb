#pragma once

// 4.3 semaphore: let a limited number of threads in at a time.
//
// Python's `threading.Semaphore(n)`, with `acquire(timeout=...)` and `release(n)`; C++20's `std::counting_semaphore`.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>

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
  explicit Semaphore(std::ptrdiff_t permits) : permits_(permits) {
    if (permits < 0) throw std::invalid_argument("Semaphore: a negative number of permits");
  }

  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Takes a permit, and waits for it if need be.
  void acquire() {
    if (try_acquire()) return;
    std::unique_lock lock(mutex_);
    ++waiters_;  // before the next look at the permits, see release()
    released_.wait(lock, [this] { return try_acquire(); });
    --waiters_;
  }

  /// Takes a permit if one is there, and does not wait. Returns whether it has one. Does not miss a permit that is
  /// there because another thread takes a different one at the same time.
  bool try_acquire() {
    std::ptrdiff_t permits = permits_.load();
    while (permits > 0) {
      if (permits_.compare_exchange_weak(permits, permits - 1)) return true;
    }
    return false;
  }

  /// Takes a permit, and waits for it for `timeout` at the most. Returns whether it has one; if not, it has taken none.
  /// A `timeout` of zero or less does not wait, but takes a permit that is there.
  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    if (try_acquire()) return true;
    if (timeout <= timeout.zero()) return false;
    std::unique_lock lock(mutex_);
    ++waiters_;
    bool acquired = released_.wait_for(lock, timeout, [this] { return try_acquire(); });
    --waiters_;
    return acquired;
  }

  /// Adds `n` permits and lets as many of the waiting threads go on. Less than 1 throws std::invalid_argument, and
  /// changes nothing.
  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    permits_ += n;
    // A waiter counts itself and then looks at the permits; here it is the other way round. So either it is seen here,
    // or it sees the permits: both are sequentially consistent, which release and acquire alone would not promise.
    if (waiters_ == 0) return;
    // A waiter that has looked already and is not asleep yet holds the mutex. From here on it is asleep.
    { std::lock_guard lock(mutex_); }
    if (n == 1) {
      released_.notify_one();
    } else {
      released_.notify_all();
    }
  }

 private:
  std::atomic<std::ptrdiff_t> permits_;
  std::atomic<int> waiters_ = 0;  // changed under the mutex, read without it
  std::mutex mutex_;              // for those who find no permit
  std::condition_variable released_;
};
