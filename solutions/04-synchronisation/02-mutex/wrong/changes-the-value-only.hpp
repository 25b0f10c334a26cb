// Takes wait() at its word, that it returns when the value is another one, and so stores 0 and leaves it at that: but
// the kernel looks at the value only when it puts the thread to sleep; from then on it takes a notify.
// caught: plain, Mutex.SleepsUntilItIsUnlocked, deadlock

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    while (taken_.exchange(1, std::memory_order_acquire) == 1) taken_.wait(1, std::memory_order_relaxed);
  }

  bool try_lock() { return taken_.exchange(1, std::memory_order_acquire) == 0; }

  void unlock() { taken_.store(0, std::memory_order_release); }

 private:
  std::atomic<int> taken_ = 0;
};
