// Tries again and again until it is free: short, and fastest when the wait is a few nanoseconds, but whoever waits for
// a holder that sleeps burns a core.
// caught: plain, Mutex.SleepsUntilItIsUnlocked, wrong answer

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    while (!try_lock()) {
    }
  }

  bool try_lock() { return taken_.exchange(1, std::memory_order_acquire) == 0; }

  void unlock() { taken_.store(0, std::memory_order_release); }

 private:
  std::atomic<int> taken_ = 0;
};
