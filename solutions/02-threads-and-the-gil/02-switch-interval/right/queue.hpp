// The waiting threads stand in a queue, and the lock is handed to the first of them; nobody can win it back, for it is
// never free while somebody waits. The first in the queue, and only that one, asks the holder.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <stdexcept>

class SwitchingGil {
 public:
  explicit SwitchingGil(std::chrono::microseconds interval = std::chrono::milliseconds(5)) : interval_(interval) {
    if (interval <= interval.zero()) throw std::invalid_argument("SwitchingGil: the interval must be positive");
  }

  SwitchingGil(const SwitchingGil&) = delete;
  SwitchingGil& operator=(const SwitchingGil&) = delete;

  void acquire() {
    std::unique_lock lock(mutex_);
    wait_for_turn(lock);
  }

  void release() {
    std::lock_guard lock(mutex_);
    hand_over();
  }

  bool drop_requested() const { return drop_requested_; }

  void yield_if_requested() {
    if (!drop_requested_) return;
    std::unique_lock lock(mutex_);
    hand_over();
    wait_for_turn(lock);
  }

 private:
  struct Waiter {
    std::condition_variable woken;
    bool is_first = false, has_it = false;
  };

  void wait_for_turn(std::unique_lock<std::mutex>& lock) {
    if (!locked_) {
      locked_ = true;
      return;
    }
    Waiter self;
    waiters_.push_back(&self);
    self.is_first = waiters_.size() == 1;
    while (!self.has_it) {
      if (!self.is_first) {
        self.woken.wait(lock, [&] { return self.is_first || self.has_it; });
      } else if (!self.woken.wait_for(lock, interval_, [&] { return self.has_it; })) {
        drop_requested_ = true;
      }
    }
  }

  void hand_over() {
    drop_requested_ = false;
    locked_ = !waiters_.empty();
    if (!locked_) return;
    waiters_.front()->has_it = true;
    waiters_.front()->woken.notify_one();
    waiters_.pop_front();
    if (waiters_.empty()) return;
    waiters_.front()->is_first = true;  // from now on its interval runs, that of the new holder
    waiters_.front()->woken.notify_one();
  }

  const std::chrono::microseconds interval_;
  std::mutex mutex_;  // guards the rest
  std::list<Waiter*> waiters_;
  bool locked_ = false;
  std::atomic<bool> drop_requested_ = false;
};
