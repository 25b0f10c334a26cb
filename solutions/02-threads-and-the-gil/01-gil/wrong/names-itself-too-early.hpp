// Writes down the owner and waits for the lock then, so that the two cannot be forgotten apart: but until the wait is
// over the owner is another one, and has just been overwritten.
// caught: plain, Gil.SleepsUntilItIsReleased, wrong answer

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
    if (held()) throw std::logic_error("Gil::acquire: this thread holds it already");
    owner_.store(std::this_thread::get_id());
    mutex_.lock();
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    owner_.store(std::thread::id(), std::memory_order_relaxed);
    mutex_.unlock();
  }

  bool held() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

 private:
  std::mutex mutex_;
  std::atomic<std::thread::id> owner_;
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
