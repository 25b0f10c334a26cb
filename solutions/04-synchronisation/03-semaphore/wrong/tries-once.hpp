// Tries its compare-exchange once, and takes a failure for "no permit": but it also fails when another thread has
// taken a different permit in between.
// caught: explore, Semaphore.TryAcquireDoesNotMissAPermitThatIsThere, wrong answer

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
    released_.wait(lock, [this] { return take(); });
  }

  bool try_acquire() {
    std::ptrdiff_t permits = permits_.load();
    return permits > 0 && permits_.compare_exchange_strong(permits, permits - 1);
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    return released_.wait_for(lock, timeout, [this] { return take(); });
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
  bool take() {
    std::ptrdiff_t permits = permits_.load();
    while (permits > 0) {
      if (permits_.compare_exchange_weak(permits, permits - 1)) return true;
    }
    return false;
  }

  std::atomic<std::ptrdiff_t> permits_;
  std::mutex mutex_;
  std::condition_variable released_;
};
