// Each step is atomic, the look at the count and the subtraction, but not the two of them together: two threads see
// the last permit and both take it, and the count is below zero.
// caught: explore, Semaphore.LetsNoMoreThreadsInThanThereArePermits, wrong answer

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
    while (!try_acquire()) {
      std::unique_lock lock(mutex_);
      released_.wait(lock, [this] { return permits_ > 0; });
    }
  }

  bool try_acquire() {
    if (permits_ <= 0) return false;
    --permits_;
    return true;
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    while (!try_acquire()) {
      std::unique_lock lock(mutex_);
      if (!released_.wait_until(lock, deadline, [this] { return permits_ > 0; })) return false;
    }
    return true;
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    std::lock_guard lock(mutex_);
    permits_ += n;
    if (n == 1) {
      released_.notify_one();
    } else {
      released_.notify_all();
    }
  }

 private:
  std::atomic<std::ptrdiff_t> permits_;
  std::mutex mutex_;
  std::condition_variable released_;
};
