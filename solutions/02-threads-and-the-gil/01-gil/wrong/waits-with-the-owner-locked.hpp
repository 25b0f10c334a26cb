// Guards the owner with a second mutex, and keeps that one while it waits for the first: all of it is consistent, but
// now the holder cannot say that it goes.
// caught: plain, Gil.SleepsUntilItIsReleased, deadlock

#pragma once

#include <mutex>
#include <stdexcept>
#include <thread>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    std::lock_guard guard(owner_mutex_);
    if (owner_ == std::this_thread::get_id()) throw std::logic_error("Gil::acquire: this thread holds it already");
    lock_.lock();
    owner_ = std::this_thread::get_id();
  }

  void release() {
    std::lock_guard guard(owner_mutex_);
    if (owner_ != std::this_thread::get_id()) throw std::logic_error("Gil::release: this thread does not hold it");
    owner_ = std::thread::id();
    lock_.unlock();
  }

  bool held() const {
    std::lock_guard guard(owner_mutex_);
    return owner_ == std::this_thread::get_id();
  }

 private:
  std::mutex lock_;
  mutable std::mutex owner_mutex_;
  std::thread::id owner_;
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
