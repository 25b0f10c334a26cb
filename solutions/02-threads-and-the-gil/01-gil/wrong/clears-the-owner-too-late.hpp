// Unlocks first and clears the owner then, in the order in which one leaves a room and switches off the light: but
// by then the next thread is in, and it is that one's name that is cleared.
// caught: explore, Gil.KnowsItsHolderWhileThreadsComeAndGo, wrong answer

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
    mutex_.lock();
    owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    mutex_.unlock();
    owner_.store(std::thread::id());
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
