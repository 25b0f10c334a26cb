// The count is atomic, so release() does without the mutex: but a thread that has looked at the count and does not
// sleep yet hears nothing of the notification, and sleeps on beside a permit.
// caught: explore, Semaphore.LetsNoMoreThreadsInThanThereArePermits, deadlock

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>

class Semaphore {
 public:
  explicit Semaphore(std::ptrdiff_t permits) : permits_(permits) {
    if (permits < 0) throw std::invalid_argument("Semaphore: a negative number of permits");
  }

  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  void acquire() {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return try_acquire(); });
  }

  bool try_acquire() {
    std::ptrdiff_t permits = permits_.load();
    while (permits > 0) {
      if (permits_.compare_exchange_weak(permits, permits - 1)) return true;
    }
    return false;
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    return released_.wait_for(lock, timeout, [this] { return try_acquire(); });
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    permits_ += n;
    released_.notify_all();
  }

 private:
  std::atomic<std::ptrdiff_t> permits_;
  std::mutex mutex_;
  std::condition_variable released_;
};
