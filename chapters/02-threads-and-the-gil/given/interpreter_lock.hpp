#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <thread>

/// A global interpreter lock that hands over as CPython's does (Python/ceval_gil.c): a thread that has waited for the
/// interval asks the holder to drop the lock, and a holder that was asked does not win it straight back.
///
/// Asking forces nobody. The holder has to look at drop_requested() from time to time, and to release and acquire the
/// lock when it is true.
///
/// What a thread did before release() is seen by the thread that acquires the lock next. All functions may be called by
/// any number of threads at the same time. Misuse throws std::logic_error and changes nothing.
class InterpreterLock {
 public:
  /// `interval` is how long a thread waits before it asks: sys.setswitchinterval(). Zero or less throws
  /// std::invalid_argument.
  explicit InterpreterLock(std::chrono::microseconds interval = std::chrono::milliseconds(5)) : interval_(interval) {
    if (interval <= interval.zero()) throw std::invalid_argument("InterpreterLock: the interval must be positive");
  }

  InterpreterLock(const InterpreterLock&) = delete;
  InterpreterLock& operator=(const InterpreterLock&) = delete;

  /// Waits until the lock is free and takes it. The thread that holds it already throws.
  void acquire() {
    if (held()) throw std::logic_error("InterpreterLock::acquire: this thread holds the lock already");
    std::unique_lock lock(mutex_);
    while (holder_ != nobody) {
      auto over = [this, turn = turns_] { return holder_ == nobody || turns_ != turn; };
      if (!released_.wait_for(lock, interval_, over)) {
        drop_requested_ = true;
        // Asking once per turn is enough. CPython looks again after each interval; without a time limit, threads that
        // wait for each other can be seen to be a deadlock.
        released_.wait(lock, over);
      }
    }
    holder_ = std::this_thread::get_id();
    ++turns_;
    drop_requested_ = false;  // it was meant for the holder of before
    taken_.notify_all();
  }

  /// Gives the lock back. If the holder was asked for it, waits until another thread has it. A thread that does not
  /// hold it throws.
  void release() {
    if (!held()) throw std::logic_error("InterpreterLock::release: this thread does not hold the lock");
    std::unique_lock lock(mutex_);
    holder_ = nobody;
    if (!drop_requested_) {
      released_.notify_one();  // everybody still waits for at most an interval
      return;
    }
    // The one who asked waits without a time limit, and so may others. One of them gets the lock; the rest begin anew.
    released_.notify_all();
    taken_.wait(lock, [this, turn = turns_] { return turns_ != turn; });
  }

  /// Whether the calling thread holds the lock.
  bool held() const noexcept { return holder_ == std::this_thread::get_id(); }

  /// Whether a thread waits that has asked the holder to drop the lock.
  bool drop_requested() const noexcept { return drop_requested_; }

 private:
  static inline const std::thread::id nobody{};

  const std::chrono::microseconds interval_;
  std::atomic<std::thread::id> holder_ = nobody;  // changed under the mutex, as all below, and read without it
  std::atomic<bool> drop_requested_ = false;
  std::uint64_t turns_ = 0;  // how often the lock was taken
  std::mutex mutex_;
  std::condition_variable released_;
  std::condition_variable taken_;
};
