// Counts the waiters as a debt of permits, as in the textbook: tidy, until a waiter gives up and leaves its debt
// behind, so that the next permit that is released pays for nobody.
// caught: plain, Semaphore.GivesUpWhenTheTimeIsOver, wrong answer

#pragma once

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
    if (--permits_ >= 0) return;
    released_.wait(lock, [this] { return wake_ups_ > 0; });
    --wake_ups_;
  }

  bool try_acquire() {
    std::lock_guard lock(mutex_);
    if (permits_ <= 0) return false;
    --permits_;
    return true;
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    if (--permits_ >= 0) return true;
    if (!released_.wait_for(lock, timeout, [this] { return wake_ups_ > 0; })) return false;
    --wake_ups_;
    return true;
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    std::lock_guard lock(mutex_);
    for (; n > 0; --n) {
      if (permits_++ >= 0) continue;
      ++wake_ups_;
      released_.notify_one();
    }
  }

 private:
  std::ptrdiff_t permits_;  // below zero: so many threads wait
  std::ptrdiff_t wake_ups_ = 0;
  std::mutex mutex_;
  std::condition_variable released_;
};
