// Each holder has a number, and a request is the number of the one that it is for. So there is nothing to clear: it is
// void as soon as the next one holds the lock. Whoever steps back sleeps on the number, by futex(2).

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

class SwitchingGil {
 public:
  explicit SwitchingGil(std::chrono::microseconds interval = std::chrono::milliseconds(5)) : interval_(interval) {
    if (interval <= interval.zero()) throw std::invalid_argument("SwitchingGil: the interval must be positive");
  }

  SwitchingGil(const SwitchingGil&) = delete;
  SwitchingGil& operator=(const SwitchingGil&) = delete;

  void acquire() {
    std::unique_lock lock(mutex_);
    while (locked_) {
      unsigned seen = holder_;
      if (!released_.wait_for(lock, interval_, [this] { return !locked_; })) asked_ = seen;
    }
    locked_ = true;
    ++holder_;
    holder_.notify_all();
  }

  void release() {
    std::lock_guard lock(mutex_);
    locked_ = false;
    released_.notify_one();
  }

  bool drop_requested() const { return asked_ == holder_; }

  void yield_if_requested() {
    unsigned mine = holder_;
    if (asked_ != mine) return;
    release();
    holder_.wait(mine);
    acquire();
  }

 private:
  const std::chrono::microseconds interval_;
  std::mutex mutex_;
  std::condition_variable released_;
  bool locked_ = false;
  std::atomic<unsigned> holder_ = 0;  // the number of the holder, also of the last one while nobody holds it
  std::atomic<unsigned> asked_ = 0;   // the number of the one that shall drop it; nobody has 0
};
