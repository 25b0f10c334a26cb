// Waits once, since only set() notifies: but a condition variable may wake up without a notification, and then the
// thread goes on before anything has happened.
// caught: explore, Event.ReleasesNobodyBeforeItIsSet, wrong answer

#pragma once

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
    std::lock_guard lock(mutex_);
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
    if (is_set_) return;
    ++waiting_;
    released_.wait(lock);
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    if (is_set_) return true;
    ++waiting_;
    std::cv_status status = released_.wait_for(lock, timeout);
    --waiting_;
    return status == std::cv_status::no_timeout;
  }

  int waiting() const {
    std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool is_set_ = false;
  std::uint64_t sets_ = 0;
  int waiting_ = 0;
};
