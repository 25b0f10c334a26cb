// Writes try_lock() as a lock() that says true: the answer is never wrong, it only comes too late to be of use.
// caught: plain, Mutex.LetsTryLockInOnlyWhenItIsFree, deadlock

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    int seen = unlocked;
    if (state_.compare_exchange_strong(seen, locked, std::memory_order_acquire, std::memory_order_relaxed)) return;
    // From here on it is locked as contended: whether somebody else still sleeps, this thread does not know.
    while (state_.exchange(contended, std::memory_order_acquire) != unlocked) {
      state_.wait(contended, std::memory_order_relaxed);
    }
  }

  bool try_lock() {
    lock();
    return true;
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
