// Says true for 0 and false for the rest: but when the last holder has died pthread_mutex_trylock() returns
// EOWNERDEAD, and the caller, who now holds the lock, is told that he does not.
// caught: plain, RobustLock.PassesOnToTryLock, wrong answer

#pragma once

#include <pthread.h>

#include <cerrno>
#include <functional>
#include <system_error>

class RobustLock {
 public:
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

  void lock(const std::function<void()>& repair) { take_over(::pthread_mutex_lock(&mutex_), repair); }

  bool try_lock(const std::function<void()>& repair) {
    int result = ::pthread_mutex_trylock(&mutex_);
    if (result != 0) return false;
    take_over(result, repair);
    return true;
  }

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
  bool beyond_repair_ = false;
};
