// Each waiting thread queues with a condition variable of its own, and release() hands a permit to the one that has
// waited longest: first come, first served, and nobody is woken for nothing.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
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
    if (take()) return;
    Waiter self;
    waiters_.push_back(&self);
    self.woken.wait(lock, [&] { return self.has_permit; });
  }

  bool try_acquire() {
    std::lock_guard lock(mutex_);
    return take();
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    if (take()) return true;
    Waiter self;
    waiters_.push_back(&self);
    if (self.woken.wait_for(lock, timeout, [&] { return self.has_permit; })) return true;
    waiters_.remove(&self);
    return false;
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    std::lock_guard lock(mutex_);
    for (permits_ += n; permits_ > 0 && !waiters_.empty(); --permits_) {
      waiters_.front()->has_permit = true;
      waiters_.front()->woken.notify_one();
      waiters_.pop_front();
    }
  }

 private:
  struct Waiter {
    std::condition_variable woken;
    bool has_permit = false;
  };

  bool take() {
    if (permits_ == 0) return false;
    --permits_;
    return true;
  }

  std::ptrdiff_t permits_;
  std::mutex mutex_;
  std::list<Waiter*> waiters_;  // the one that has waited longest is in front; a permit that is there has no waiter
};
