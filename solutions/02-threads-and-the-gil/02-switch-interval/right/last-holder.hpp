// As CPython has it: a switch counts only if the holder is another thread than the last one, the hand-over has a mutex
// and a condition variable of its own, and every release by a thread that has been asked waits for the switch.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

class SwitchingGil {
 public:
  explicit SwitchingGil(std::chrono::microseconds interval = std::chrono::milliseconds(5)) : interval_(interval) {
    if (interval <= interval.zero()) throw std::invalid_argument("SwitchingGil: the interval must be positive");
  }

  SwitchingGil(const SwitchingGil&) = delete;
  SwitchingGil& operator=(const SwitchingGil&) = delete;

  void acquire() {
    std::unique_lock lock(mutex_);
    while (locked_) {
      auto seen = switch_number_;
      bool timed_out = released_.wait_for(lock, interval_) == std::cv_status::timeout;
      if (timed_out && locked_ && switch_number_ == seen) drop_request_.store(true, std::memory_order_relaxed);
    }
    std::lock_guard switch_lock(switch_mutex_);
    locked_ = true;
    if (last_holder_ != std::this_thread::get_id()) {
      last_holder_ = std::this_thread::get_id();
      ++switch_number_;
    }
    switched_.notify_all();
    drop_request_.store(false, std::memory_order_relaxed);
  }

  void release() {
    bool was_asked;
    {
      std::lock_guard lock(mutex_);
      was_asked = drop_requested();
      locked_ = false;
      released_.notify_one();
    }
    if (!was_asked) return;
    std::unique_lock switch_lock(switch_mutex_);
    switched_.wait(switch_lock, [this] { return last_holder_ != std::this_thread::get_id(); });
  }

  bool drop_requested() const { return drop_request_.load(std::memory_order_relaxed); }

  void yield_if_requested() {
    if (!drop_requested()) return;
    release();
    acquire();
  }

 private:
  const std::chrono::microseconds interval_;
  std::mutex mutex_;
  std::condition_variable released_;
  bool locked_ = false;
  unsigned long switch_number_ = 0;

  std::mutex switch_mutex_;
  std::condition_variable switched_;
  std::thread::id last_holder_;  // stays when it has released the lock

  std::atomic<bool> drop_request_ = false;
};
