// Says that it waits and only then looks at the state: a set() and a clear() that fit in between are over when it
// looks, and it waits for the next ones, although it was counted.
// caught: explore, Event.SetReleasesThoseWhoWaitEvenIfClearFollowsAtOnce, deadlock

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
    ++waiting_;
    std::unique_lock lock(mutex_);
    if (!is_set_) released_.wait(lock, [this, before = sets_] { return sets_ != before; });
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    ++waiting_;
    std::unique_lock lock(mutex_);
    bool released = is_set_ || released_.wait_for(lock, timeout, [this, before = sets_] { return sets_ != before; });
    --waiting_;
    return released;
  }

  int waiting() const { return waiting_; }

 private:
  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool is_set_ = false;
  std::uint64_t sets_ = 0;
  std::atomic<int> waiting_ = 0;
};
