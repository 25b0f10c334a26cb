// Makes the owner atomic, so release() does without the mutex: but a thread that has looked at the owner and does not
// sleep yet hears nothing of the notification, and sleeps on beside a lock that is free.
// caught: explore, Gil.KnowsItsHolderWhileThreadsComeAndGo, deadlock

#pragma once

#include <atomic>
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
    if (held()) throw std::logic_error("Gil::acquire: this thread holds it already");
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] {
      std::thread::id expected;
      return owner_.compare_exchange_strong(expected, std::this_thread::get_id());
    });
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    owner_.store(std::thread::id());
    released_.notify_one();
  }

  bool held() const { return owner_.load() == std::this_thread::get_id(); }

 private:
  std::mutex mutex_;
  std::condition_variable released_;
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
