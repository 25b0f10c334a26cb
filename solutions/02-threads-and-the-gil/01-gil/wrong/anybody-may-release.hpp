// Refuses a release only if nobody holds the lock: that catches the second release in a row, but not the one by a
// thread that believes it holds what another one does.
// caught: plain, Gil.RefusesToBeReleasedByAThreadThatDoesNotHoldIt, wrong answer

#pragma once

#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    std::unique_lock lock(mutex_);
    if (owner_ == std::this_thread::get_id()) throw std::logic_error("Gil::acquire: this thread holds it already");
    released_.wait(lock, [this] { return owner_ == std::thread::id(); });
    owner_ = std::this_thread::get_id();
  }

  void release() {
    std::lock_guard lock(mutex_);
    if (owner_ == std::thread::id()) throw std::logic_error("Gil::release: nobody holds it");
    owner_ = std::thread::id();
    released_.notify_one();
  }

  bool held() const {
    std::lock_guard lock(mutex_);
    return owner_ == std::this_thread::get_id();
  }

 private:
  mutable std::mutex mutex_;  // guards the owner, and is never held for long
  std::condition_variable released_;
  std::thread::id owner_;  // or std::thread::id(), which is no thread
};

class GilHolder {
 public:
  explicit GilHolder(Gil& gil) : gil_(gil) { gil_.acquire(); }
  GilHolder(const GilHolder&) = delete;
  GilHolder& operator=(const GilHolder&) = delete;
  ~GilHolder() { gil_.release(); }

 private:
  Gil& gil_;
};
