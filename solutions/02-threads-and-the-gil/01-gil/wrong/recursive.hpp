// Counts how often its holder has acquired it, so that code under the lock may call code that takes the lock: handy,
// but then a release() in the middle, for a blocking call, leaves it locked, and nobody knows why.
// caught: plain, Gil.RefusesToBeAcquiredByItsHolder, wrong answer

#pragma once

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    mutex_.lock();
    owner_.store(std::this_thread::get_id());
    ++count_;
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    if (--count_ == 0) owner_.store(std::thread::id());
    mutex_.unlock();
  }

  bool held() const { return owner_.load() == std::this_thread::get_id(); }

 private:
  std::recursive_mutex mutex_;
  std::atomic<std::thread::id> owner_;
  int count_ = 0;
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
