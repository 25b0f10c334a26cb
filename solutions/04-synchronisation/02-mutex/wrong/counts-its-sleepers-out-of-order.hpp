// Counts its sleepers with acquire and release, which look like the orders for a lock: but nothing then keeps unlock()
// from reading the count before its own store of 0 is seen, so it finds nobody while somebody falls asleep.
// caught: explore, Mutex.LetsOneThreadInAtATime, deadlock

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    if (try_lock()) return;
    sleepers_.fetch_add(1, std::memory_order_acq_rel);
    while (taken_.exchange(1, std::memory_order_acquire) == 1) taken_.wait(1, std::memory_order_relaxed);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

  bool try_lock() { return taken_.exchange(1, std::memory_order_acquire) == 0; }

  void unlock() {
    taken_.store(0, std::memory_order_release);
    if (sleepers_.load(std::memory_order_acquire) > 0) taken_.notify_one();
  }

 private:
  std::atomic<int> taken_ = 0;
  std::atomic<int> sleepers_ = 0;
};
