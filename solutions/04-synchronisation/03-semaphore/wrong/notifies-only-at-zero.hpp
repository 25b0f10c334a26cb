// Notifies only when the count was 0, since nobody can be waiting beside a permit: but a thread that was woken has
// not taken its permit yet, so the next release finds 1 and lets the second waiter sleep.
// caught: explore, Semaphore.LetsAThreadGoForEachRelease, deadlock

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
    std::unique_lock lock(mutex_);
    if (!released_.wait_for(lock, timeout, [this] { return permits_ > 0; })) return false;
    --permits_;
    return true;
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    std::lock_guard lock(mutex_);
    bool there_may_be_waiters = permits_ == 0;
    permits_ += n;
    if (!there_may_be_waiters) return;
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
