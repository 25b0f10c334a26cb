// Takes the mutex for the whole of wait() and sleeps on an atomic: the one that should set the event waits for the
// mutex, and so for the one that waits for it.
// caught: plain, Event.CountsTheThreadsThatWaitAndLetsThemSleep, deadlock

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

class Event {
 public:
  Event() = default;

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() {
    std::lock_guard lock(mutex_);
    is_set_ = true;
    ++sets_;
    sets_.notify_all();
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
    std::lock_guard lock(mutex_);
    if (is_set_) return;
    ++waiting_;
    sets_.wait(sets_);
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    const std::uint64_t before = sets_;
    if (is_set()) return true;
    while (sets_ == before && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return sets_ != before;
  }

  int waiting() const { return waiting_; }

 private:
  mutable std::mutex mutex_;
  bool is_set_ = false;
  std::atomic<std::uint64_t> sets_ = 0;
  std::atomic<int> waiting_ = 0;
};
