// Goes on as the holder when it has been woken, as if unlock() had handed the mutex to it: but a third thread may have
// come in between, and a wake-up is no more than a hint to look again.
// caught: explore, Mutex.LetsOneThreadInAtATime, data race

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    int seen = unlocked;
    if (state_.compare_exchange_strong(seen, locked, std::memory_order_acquire)) return;
    if (state_.exchange(contended, std::memory_order_acquire) == unlocked) return;
    state_.wait(contended);
    state_.store(contended, std::memory_order_relaxed);
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
