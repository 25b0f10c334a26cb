#pragma once

// 5.4 robust-lock: a lock between processes that survives the death of its holder.
//
// Python's `multiprocessing.Lock`, without its weakness: there a process that is killed while it holds the lock leaves
// all the others waiting for ever.

#include <functional>

#include "exercise/not_done.hpp"

/// A lock that lies in memory that several processes have mapped, beside what it protects. One process makes it there
/// (placement new), before any other uses it; it is not copied or moved. Locks are independent of each other.
///
/// At most one thread of all threads of all these processes holds it, and sees what the holders before it did. A thread
/// that waits for it sleeps: it neither spins nor looks again from time to time.
///
/// The holder may end without unlock(), at any point, also in the middle of lock() or unlock(): its thread, or the
/// whole process, by itself or by SIGKILL. Then the lock goes to a thread that waits already or comes later. That
/// thread holds it, calls its `repair`, once, and goes on when this has returned. Who comes after that does not repair
/// again. If that thread ends in its `repair`, the next one repairs. `repair` may find that there is nothing to repair.
///
/// If `repair` throws, what the lock protects is beyond repair. The exception leaves the call that repaired, whose
/// thread does not hold the lock; lock() and try_lock() of everybody else, and of those who wait already, throw
/// std::system_error with ENOTRECOVERABLE from then on and repair nothing.
class RobustLock {
 public:
  /// Nobody holds it.
  RobustLock() { interleave::not_done(); }

  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;

  /// Takes the lock, and waits for it if need be. By the thread that holds it throws std::system_error with EDEADLK,
  /// and changes nothing.
  void lock(const std::function<void()>& repair) {
    (void)repair;  // take this line out once you use it
    interleave::not_done();
  }

  /// Takes the lock if no living thread holds it, and does not wait. Returns whether it has it. Repairs as lock() does.
  bool try_lock(const std::function<void()>& repair) {
    (void)repair;  // take this line out once you use it
    interleave::not_done();
  }

  /// Gives the lock back. By a thread that does not hold it, throws std::system_error with EPERM and changes nothing: a
  /// child that the holder has forked does not hold it either.
  void unlock() { interleave::not_done(); }
};
