// The flag is atomic, so set() does without the mutex: but a thread that has looked at the flag and does not sleep
// yet hears nothing of the notification, and no other one comes.
// caught: explore, Event.SetReleasesEveryThreadThatWaits, deadlock

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

class Event {
 public:
  Event() = default;

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() {
    is_set_ = true;
    ++sets_;
    released_.notify_all();
  }

  void clear() {
    std::lock_guard lock(mutex_);
    is_set_ = false;
  }

  bool is_set() const {
    std::lock_guard lock(mutex_);
    return is_set_;
  }

  void wait() {
    std::unique_lock lock(mutex_);
    const std::uint64_t before = sets_;
    if (is_set_) return;
    ++waiting_;
    released_.wait(lock, [this, before] { return sets_ != before; });
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    const std::uint64_t before = sets_;
    if (is_set_) return true;
    ++waiting_;
    bool released = released_.wait_for(lock, timeout, [this, before] { return sets_ != before; });
    --waiting_;
    return released;
  }

  int waiting() const {
    std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::atomic<bool> is_set_ = false;
  std::atomic<std::uint64_t> sets_ = 0;
  int waiting_ = 0;
};
