// Counts a thread that gives up only when somebody sets the event, since set() knows that nobody waits after it:
// until then the event counts threads that have long gone.
// caught: plain, Event.CountsTheThreadsThatWaitAndLetsThemSleep, wrong answer

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
    waiting_ = 0;
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
    released_.wait(lock, [this, before = sets_] { return sets_ != before; });
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    if (is_set_) return true;
    ++waiting_;
    bool released = released_.wait_for(lock, timeout, [this, before = sets_] { return sets_ != before; });
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
  std::uint64_t sets_ = 0;
  int waiting_ = 0;
};
