// Sleeps for a millisecond at a time when there is a time limit, and tries again: easier than a timed wait, but the
// permit comes up to a millisecond late, and a thousand times a second the thread wakes up for nothing.
// caught: plain, Semaphore.SleepsUntilAPermitIsReleased, wrong answer

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <thread>

class Semaphore {
 public:
  explicit Semaphore(std::ptrdiff_t permits) : permits_(permits) {
    if (permits < 0) throw std::invalid_argument("Semaphore: a negative number of permits");
  }

  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  void acquire() {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return permits_ > 0; });
    --permits_;
  }

  bool try_acquire() {
    std::lock_guard lock(mutex_);
    if (permits_ == 0) return false;
    --permits_;
    return true;
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    while (!try_acquire()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
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
  std::ptrdiff_t permits_;
  std::mutex mutex_;
  std::condition_variable released_;
};
