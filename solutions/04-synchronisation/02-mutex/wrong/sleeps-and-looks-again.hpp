// Sleeps ten milliseconds between two tries: the CPU is idle and nobody has to be woken, but each waiter wakes a
// hundred times a second for nothing and comes in late.
// caught: plain, Mutex.SleepsUntilItIsUnlocked, wrong answer

#pragma once

#include <atomic>
#include <chrono>
#include <thread>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    while (!try_lock()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  bool try_lock() { return taken_.exchange(1, std::memory_order_acquire) == 0; }

  void unlock() { taken_.store(0, std::memory_order_release); }

 private:
  std::atomic<int> taken_ = 0;
};
