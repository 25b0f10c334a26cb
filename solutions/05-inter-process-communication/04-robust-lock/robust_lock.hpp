#pragma once

// 5.4 robust-lock: a lock between processes that survives the death of its holder.
//
// Python's `multiprocessing.Lock`, without its weakness: there a process that is killed while it holds the lock leaves
// all the others waiting for ever.

#include <pthread.h>

#include <cerrno>
#include <functional>
#include <system_error>

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
  RobustLock() {
    pthread_mutexattr_t attributes;
    check(::pthread_mutexattr_init(&attributes), "pthread_mutexattr_init");
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);  // EDEADLK in place of a wait for oneself
    int error = ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    check(error, "pthread_mutex_init");
  }

  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;

  /// Takes the lock, and waits for it if need be. By the thread that holds it throws std::system_error with EDEADLK,
  /// and changes nothing.
  void lock(const std::function<void()>& repair) { take_over(::pthread_mutex_lock(&mutex_), repair); }

  /// Takes the lock if no living thread holds it, and does not wait. Returns whether it has it. Repairs as lock() does.
  bool try_lock(const std::function<void()>& repair) {
    int result = ::pthread_mutex_trylock(&mutex_);
    if (result == EBUSY) return false;
    take_over(result, repair);
    return true;
  }

  /// Gives the lock back. By a thread that does not hold it, throws std::system_error with EPERM and changes nothing: a
  /// child that the holder has forked does not hold it either.
  void unlock() { check(::pthread_mutex_unlock(&mutex_), "RobustLock::unlock"); }

 private:
  static void check(int error, const char* call) {
    if (error != 0) throw std::system_error(error, std::generic_category(), call);
  }

  // What follows a lock that `result` came from.
  void take_over(int result, const std::function<void()>& repair) {
    if (result != EOWNERDEAD) check(result, "RobustLock: lock");
    // From here on this thread holds the mutex.
    if (!beyond_repair_ && result == EOWNERDEAD) {
      try {
        repair();
      } catch (...) {
        beyond_repair_ = true;
        ::pthread_mutex_consistent(&mutex_);
        ::pthread_mutex_unlock(&mutex_);
        throw;
      }
    }
    // Only now. Should this process die in its repair, the next one is told EOWNERDEAD as well.
    if (result == EOWNERDEAD) ::pthread_mutex_consistent(&mutex_);
    if (beyond_repair_) {
      ::pthread_mutex_unlock(&mutex_);
      check(ENOTRECOVERABLE, "RobustLock: what it protects is beyond repair");
    }
  }

  pthread_mutex_t mutex_;
  // Under the mutex. An unlock without pthread_mutex_consistent would say the same to everybody, but in glibc 2.36 the
  // pthread_mutex_trylock that returns ENOTRECOVERABLE keeps the mutex, and whoever comes next waits for ever.
  bool beyond_repair_ = false;
};
