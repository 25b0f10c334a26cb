// The count itself is the word that threads sleep on, by futex(2), as in glibc's sem_t: the kernel puts a thread to
// sleep only if the count is still 0, so nothing can come between the look and the sleep.

#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <stdexcept>

class Semaphore {
 public:
  explicit Semaphore(std::ptrdiff_t permits) : permits_(checked(permits)) {}

  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  void acquire() {
    if (!try_acquire()) wait_until(nullptr);
  }

  bool try_acquire() {
    int permits = permits_.load();
    while (permits > 0) {
      if (permits_.compare_exchange_weak(permits, permits - 1)) return true;
    }
    return false;
  }

  bool try_acquire_for(std::chrono::nanoseconds timeout) {
    if (try_acquire()) return true;
    if (timeout <= timeout.zero()) return false;
    auto end = (std::chrono::steady_clock::now() + timeout).time_since_epoch();
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(end);
    timespec deadline{static_cast<time_t>(seconds.count()), static_cast<long>((end - seconds).count())};
    return wait_until(&deadline);
  }

  void release(std::ptrdiff_t n = 1) {
    if (n < 1) throw std::invalid_argument("Semaphore::release: less than one permit");
    permits_ += static_cast<int>(n);
    if (waiters_ > 0) ::syscall(SYS_futex, &permits_, FUTEX_WAKE_PRIVATE, static_cast<int>(n));
  }

 private:
  static int checked(std::ptrdiff_t permits) {
    if (permits < 0) throw std::invalid_argument("Semaphore: a negative number of permits");
    return static_cast<int>(permits);
  }

  // The deadline is a point in time of CLOCK_MONOTONIC, which is what std::chrono::steady_clock reads.
  bool wait_until(const timespec* deadline) {
    ++waiters_;
    bool acquired = false;
    bool in_time = true;
    while (!(acquired = try_acquire()) && in_time) {
      long result =
          ::syscall(SYS_futex, &permits_, FUTEX_WAIT_BITSET_PRIVATE, 0, deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
      in_time = result == 0 || errno != ETIMEDOUT;
    }
    --waiters_;
    return acquired;
  }

  std::atomic<int> permits_;
  std::atomic<int> waiters_ = 0;
};
