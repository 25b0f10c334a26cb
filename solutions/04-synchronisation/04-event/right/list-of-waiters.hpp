// Like CPython's Condition underneath its Event: each waiting thread puts a promise on a list, and set() keeps all
// of them and empties the list, so a clear() that follows cannot take anything back.

#pragma once

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <vector>

class Event {
 public:
  Event() = default;

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() {
    std::lock_guard lock(mutex_);
    is_set_ = true;
    for (std::promise<void>* waiter : waiters_) waiter->set_value();
    waiters_.clear();
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
    std::promise<void> released;
    if (enter(released)) return;
    released.get_future().wait();
    std::lock_guard lock(mutex_);  // set() may still be inside set_value()
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    std::promise<void> released;
    if (enter(released)) return true;
    released.get_future().wait_until(deadline);
    std::lock_guard lock(mutex_);
    return std::erase(waiters_, &released) == 0;  // who is not on the list any more was released
  }

  int waiting() const {
    std::lock_guard lock(mutex_);
    return static_cast<int>(waiters_.size());
  }

 private:
  // Returns true if there is nothing to wait for.
  bool enter(std::promise<void>& waiter) {
    std::lock_guard lock(mutex_);
    if (!is_set_) waiters_.push_back(&waiter);
    return is_set_;
  }

  mutable std::mutex mutex_;
  bool is_set_ = false;
  std::vector<std::promise<void>*> waiters_;
};
