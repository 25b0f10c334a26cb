// Counts with relaxed atomics, since all that matters is the number: no permit is lost, but nothing that was done
// before release() has to be visible to the thread that takes the permit.
// caught: tsan, Semaphore.ShowsWhatWasDoneBeforeTheRelease, data race

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
    if (try_acquire()) return;
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return try_acquire(); });
  }

  bool try_acquire() {
    std::ptrdiff_t permits = permits_.load(std::memory_order_relaxed);
    while (permits > 0) {
      if (permits_.compare_exchange_weak(permits, permits - 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    if (try_acquire()) return true;
    std::unique_lock lock(mutex_);
    return released_.wait_for(lock, timeout, [this] { return try_acquire(); });
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    permits_.fetch_add(n, std::memory_order_relaxed);
    { std::lock_guard lock(mutex_); }
    released_.notify_all();
  }

 private:
  std::atomic<std::ptrdiff_t> permits_;
  std::mutex mutex_;
  std::condition_variable released_;
};
