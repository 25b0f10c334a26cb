// Asks whenever an interval is over and the lock is not free: that is an interval since this thread began to wait, and
// the holder may have come a moment ago.
// caught: explore, SwitchingGil.BeginsANewIntervalWithANewHolder, wrong answer

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
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
    while (!released_.wait_for(lock, interval_, [this] { return !locked_; })) drop_requested_ = true;
    take();
  }

  void release() {
    std::lock_guard lock(mutex_);
    locked_ = false;
    released_.notify_one();
  }

  bool drop_requested() const { return drop_requested_; }

  void yield_if_requested() {
    if (!drop_requested_) return;
    std::unique_lock lock(mutex_);
    auto seen = switches_;
    locked_ = false;
    released_.notify_one();
    switched_.wait(lock, [&] { return switches_ != seen; });
    lock.unlock();
    acquire();
  }

 private:
  // With the mutex held.
  void take() {
    locked_ = true;
    drop_requested_ = false;
    ++switches_;
    switched_.notify_all();
  }

  const std::chrono::microseconds interval_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable released_, switched_;
  bool locked_ = false;
  unsigned long switches_ = 0;
  std::atomic<bool> drop_requested_ = false;  // written with the mutex held, looked at without
};
