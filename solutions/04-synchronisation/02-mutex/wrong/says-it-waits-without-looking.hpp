// Finds the mutex locked and stores "contended": between the two it may have been freed, and then the store takes it
// for nobody, and everybody waits for an unlock() that never comes.
// caught: explore, Mutex.LetsOneThreadInAtATime, deadlock

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    int seen = unlocked;
    while (!state_.compare_exchange_strong(seen, locked, std::memory_order_acquire)) {
      state_.store(contended, std::memory_order_relaxed);
      state_.wait(contended);
      seen = unlocked;
    }
  }

  bool try_lock() {
    int seen = unlocked;
    return state_.compare_exchange_strong(seen, locked, std::memory_order_acquire, std::memory_order_relaxed);
  }

  void unlock() {
    if (state_.exchange(unlocked, std::memory_order_release) == contended) state_.notify_one();
  }

 private:
  static constexpr int unlocked = 0;
  static constexpr int locked = 1;     // and nobody has had to wait
  static constexpr int contended = 2;  // locked, and somebody may be asleep

  std::atomic<int> state_ = unlocked;
};
