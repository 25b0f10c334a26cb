#pragma once

// 4.2 mutex: a lock out of one atomic integer, whose waiters sleep in the kernel.
//
// Python's `threading.Lock`, in C++ std::mutex. This one stands in the global namespace: `mutex` is yours, `std::mutex`
// the library's.

#include <atomic>

#include "exercise/not_done.hpp"

/// At most one thread has it at a time. Each object is a lock of its own: one that is held keeps nobody from another.
/// It is small, 16 bytes at the most, so that every object of a large structure can have one; a std::mutex has 40.
///
/// What a thread wrote before it called unlock() is there for the next one that comes out of lock(), or out of
/// try_lock() with true.
///
/// Any thread may call any function at any time, except that unlock() is for the thread that has the mutex, and lock()
/// and try_lock() are for threads that do not. It is destroyed when no thread uses it. Begins as free.
class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  /// Takes the mutex. If another thread has it, sleeps until it is free: without a time limit, and without using the
  /// CPU for longer than it takes to fall asleep.
  void lock() {
    interleave::not_done();  //
  }

  /// Takes the mutex if it is free, and returns whether it did. Never waits. (std::mutex may fail to take a free one.)
  bool try_lock() {
    interleave::not_done();  //
  }

  /// Frees the mutex. Of the threads that sleep in lock(), at least one wakes up; in the end all of them get it.
  void unlock() {
    interleave::not_done();  //
  }

  // What it is made of is up to you: std::atomic<int> state_ = 0; for example, with wait(), notify_one() and three
  // values.
};
