// Waits for the flag to be set, in a loop as one should: but when clear() follows set(), the thread finds the flag
// as it was, and goes back to sleep although it was woken for good.
// caught: explore, Event.SetReleasesThoseWhoWaitEvenIfClearFollowsAtOnce, deadlock

#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

class Event {
 public:
  Event() = default;

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() {
    std::lock_guard lock(mutex_);
    is_set_ = true;
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
    if (is_set_) return;
    ++waiting_;
    released_.wait(lock, [this] { return is_set_; });
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    if (is_set_) return true;
    ++waiting_;
    bool released = released_.wait_for(lock, timeout, [this] { return is_set_; });
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
  bool is_set_ = false;
  int waiting_ = 0;
};
