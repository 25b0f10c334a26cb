// Sleeps for a hundredth of a second and looks again, as Python 2 did in a wait with a time limit: it costs little
// and looks simple, but every wait takes up to that much longer than it should.
// caught: plain, Event.CountsTheThreadsThatWaitAndLetsThemSleep, wrong answer

#pragma once

#include <chrono>
#include <condition_variable>
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
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    std::unique_lock lock(mutex_);
    if (is_set_) return true;
    const std::uint64_t before = sets_;
    ++waiting_;
    while (sets_ == before && std::chrono::steady_clock::now() < deadline) {
      lock.unlock();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      lock.lock();
    }
    --waiting_;
    return sets_ != before;
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
