// A ticket lock: each thread draws a number and sleeps until it is served, so they get in in the order of their coming.
// Each unlock wakes all of them, for notify_one() could wake the wrong one.

#pragma once

#include <atomic>

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    unsigned ticket = next_.fetch_add(1, std::memory_order_relaxed);
    for (unsigned now; (now = serving_.load(std::memory_order_acquire)) != ticket;) serving_.wait(now);
  }

  bool try_lock() {
    unsigned now = serving_.load(std::memory_order_acquire);
    // Nobody has drawn the number that is being served: it is free, and this draws it.
    return next_.compare_exchange_strong(now, now + 1, std::memory_order_relaxed);
  }

  void unlock() {
    serving_.fetch_add(1, std::memory_order_release);
    serving_.notify_all();
  }

 private:
  std::atomic<unsigned> next_ = 0;
  std::atomic<unsigned> serving_ = 0;
};
