// Two states are enough for a right answer: who unlocks does not know whether somebody sleeps, and so calls
// notify_one() every time. The third state only saves that call.

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

  void unlock() {
    taken_.store(0, std::memory_order_release);
    taken_.notify_one();
  }

 private:
  std::atomic<int> taken_ = 0;
};
