// Tries until it succeeds: right in every interleaving, and with a permit that comes soon even fast, but a thread
// that waits for a second burns a CPU for a second.
// caught: plain, Semaphore.SleepsUntilAPermitIsReleased, wrong answer

#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <thread>

class Semaphore {
 public:
  explicit Semaphore(std::ptrdiff_t permits) : permits_(permits) {
    if (permits < 0) throw std::invalid_argument("Semaphore: a negative number of permits");
  }

  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  void acquire() {
    while (!try_acquire()) std::this_thread::yield();
  }

  bool try_acquire() {
    std::ptrdiff_t permits = permits_.load();
    while (permits > 0) {
      if (permits_.compare_exchange_weak(permits, permits - 1)) return true;
    }
    return false;
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    while (!try_acquire()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    permits_ += n;
  }

 private:
  std::atomic<std::ptrdiff_t> permits_;
};
