// Counts the calls of set() and takes one off for each clear(), like a semaphore: an event is a flag, and two
// threads that both report the same thing leave it set after it was cleared.
// caught: plain, Event.IsSetOrNot, wrong answer

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
    ++is_set_;
    ++sets_;
    released_.notify_all();
  }

  void clear() {
    std::lock_guard lock(mutex_);
    if (is_set_ > 0) --is_set_;
  }

  bool is_set() const {
    std::lock_guard lock(mutex_);
    return is_set_ > 0;
  }

  void wait() {
    std::unique_lock lock(mutex_);
    if (is_set_ > 0) return;
    ++waiting_;
    released_.wait(lock, [this, before = sets_] { return sets_ != before; });
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    if (is_set_ > 0) return true;
    ++waiting_;
    bool released = released_.wait_for(lock, timeout, [this, before = sets_] { return sets_ != before; });
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
  int is_set_ = 0;
  std::uint64_t sets_ = 0;
  int waiting_ = 0;
};
