// Looks at an atomic flag before it takes the mutex, with relaxed order because it is only a flag: a thread that
// finds it set is not promised to see what was written before set().
// caught: tsan, Event.ShowsWhatWasDoneBeforeItWasSet, data race

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
    is_set_.store(true, std::memory_order_relaxed);
    ++sets_;
    released_.notify_all();
  }

  void clear() {
    std::lock_guard lock(mutex_);
    is_set_.store(false, std::memory_order_relaxed);
  }

  bool is_set() const { return is_set_.load(std::memory_order_relaxed); }

  void wait() {
    if (is_set()) return;
    std::unique_lock lock(mutex_);
    if (is_set()) return;
    ++waiting_;
    released_.wait(lock, [this, before = sets_] { return sets_ != before; });
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    if (is_set()) return true;
    std::unique_lock lock(mutex_);
    if (is_set()) return true;
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
  std::atomic<bool> is_set_ = false;
  std::uint64_t sets_ = 0;
  int waiting_ = 0;
};
