// The owner is an ordinary variable, and "no thread" is one of its values. A mutex guards it, for a few instructions at
// a time; whoever finds another owner sleeps on the condition variable. CPython's GIL is built like this.

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
    if (owner_ != std::this_thread::get_id()) throw std::logic_error("Gil::release: this thread does not hold it");
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
