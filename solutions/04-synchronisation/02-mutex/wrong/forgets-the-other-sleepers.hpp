// Takes the mutex as "locked" after a sleep, since the waiting is over: for this thread it is, but the others that
// sleep are now written down nowhere, and the next unlock() wakes nobody.
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
      if (seen == contended || state_.compare_exchange_strong(seen, contended, std::memory_order_relaxed)) {
        state_.wait(contended);
      }
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
