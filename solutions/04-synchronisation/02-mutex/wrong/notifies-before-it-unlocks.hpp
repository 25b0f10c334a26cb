// Wakes the sleeper first and frees the mutex then, so that no time is lost: but the sleeper looks, finds it still
// taken and goes back to sleep, and nobody wakes it a second time.
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
    if (state_.compare_exchange_strong(seen, locked, std::memory_order_acquire, std::memory_order_relaxed)) return;
    // From here on it is locked as contended: whether somebody else still sleeps, this thread does not know.
    while (state_.exchange(contended, std::memory_order_acquire) != unlocked) {
      state_.wait(contended, std::memory_order_relaxed);
    }
  }

  bool try_lock() {
    int seen = unlocked;
    return state_.compare_exchange_strong(seen, locked, std::memory_order_acquire, std::memory_order_relaxed);
  }

  void unlock() {
    if (state_.load(std::memory_order_relaxed) == contended) state_.notify_one();
    state_.store(unlocked, std::memory_order_release);
  }

 private:
  static constexpr int unlocked = 0;
  static constexpr int locked = 1;     // and nobody has had to wait
  static constexpr int contended = 2;  // locked, and somebody may be asleep

  std::atomic<int> state_ = unlocked;
};
