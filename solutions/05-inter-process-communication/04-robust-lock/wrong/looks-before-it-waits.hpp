// Looks whether all is lost before it waits for the lock, and not after: those who wait already when the repair throws
// get the lock, and a state that is beyond repair.
// caught: plain, RobustLock.RefusesWhoWaitsWhenARepairThrows, wrong answer

#pragma once

#include <pthread.h>

#include <atomic>
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

  void lock(const std::function<void()>& repair) {
    if (beyond_repair_) check(ENOTRECOVERABLE, "RobustLock: what it protects is beyond repair");
    take_over(::pthread_mutex_lock(&mutex_), repair);
  }

  bool try_lock(const std::function<void()>& repair) {
    if (beyond_repair_) check(ENOTRECOVERABLE, "RobustLock: what it protects is beyond repair");
    int result = ::pthread_mutex_trylock(&mutex_);
    if (result == EBUSY) return false;
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
    if (result == EOWNERDEAD) {
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
  }

  pthread_mutex_t mutex_;
  std::atomic<bool> beyond_repair_ = false;
};
