// A second atomic counts the threads that sleep or are about to. All of it in the one order of seq_cst: either unlock()
// sees the sleeper counted, or the sleeper sees that the mutex is free.

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    if (try_lock()) return;
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (taken_.exchange(1, std::memory_order_seq_cst) == 1) taken_.wait(1, std::memory_order_seq_cst);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

  bool try_lock() { return taken_.exchange(1, std::memory_order_acquire) == 0; }

  void unlock() {
    taken_.store(0, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) taken_.notify_one();
  }

 private:
  std::atomic<int> taken_ = 0;
  std::atomic<int> sleepers_ = 0;
};
