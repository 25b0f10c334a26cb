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
    while (locked_) {
      auto seen = switches_;
      bool is_free = released_.wait_for(lock, interval_, [this] { return !locked_; });
      // Only the holder that was there for the whole interval is asked. A newer one gets an interval of its own.
      if (!is_free && switches_ == seen) drop_requested_ = true;
    }
    take();
  }

  void release() {
    std::lock_guard lock(mutex_);
    let_go();
  }

  bool drop_requested() const { return drop_requested_; }

  void yield_if_requested() {
    if (!drop_requested_) return;
    {
      std::unique_lock lock(mutex_);
      auto seen = switches_;
      let_go();
      // The one that asked still waits in acquire(), and waits for nothing but this; so somebody will come.
      switched_.wait(lock, [&] { return switches_ != seen; });
    }
    acquire();
  }

 private:
  // Both with the mutex held.
  void let_go() {
    locked_ = false;
    released_.notify_one();
  }
  void take() {
    locked_ = true;
    drop_requested_ = false;
    ++switches_;
    switched_.notify_all();
  }

  const std::chrono::microseconds interval_;
  std::mutex mutex_;                  // guards the rest
  std::condition_variable released_;  // somebody has let go
  std::condition_variable switched_;  // somebody has taken it
  bool locked_ = false;
  unsigned long switches_ = 0;                // how often it has been taken: the number of the holder
  std::atomic<bool> drop_requested_ = false;  // written with the mutex held; the holder looks at it without
};
