// Lets nobody in while another thread is inside, to be on the safe side: right for one permit, but with two there is
// still only one thread that goes on, and the second permit lies idle.
// caught: plain, Semaphore.LetsAsManyThreadsInAsThereArePermits, over-synchronised

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
    released_.wait(lock, [this] { return permits_ > 0 && !occupied_; });
    --permits_;
    occupied_ = true;
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
    permits_ += n;
    occupied_ = false;
    released_.notify_all();
  }

 private:
  std::ptrdiff_t permits_;
  bool occupied_ = false;
  std::mutex mutex_;
  std::condition_variable released_;
};
