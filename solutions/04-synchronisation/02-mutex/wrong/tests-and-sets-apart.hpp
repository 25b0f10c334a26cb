// Waits until the state is free and then sets it: each of the two is atomic, but between them another thread finds it
// free as well.
// caught: explore, Mutex.LetsOneThreadInAtATime, data race

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    while (taken_.load(std::memory_order_acquire) == 1) taken_.wait(1);
    taken_.store(1, std::memory_order_relaxed);
  }

  bool try_lock() { return taken_.exchange(1, std::memory_order_acquire) == 0; }

  void unlock() {
    taken_.store(0, std::memory_order_release);
    taken_.notify_one();
  }

 private:
  std::atomic<int> taken_ = 0;
};
