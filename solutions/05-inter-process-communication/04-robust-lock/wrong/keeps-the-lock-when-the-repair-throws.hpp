// Lets the exception of the repair go by: it has arrived, and nothing was called consistent, but the lock stays with a
// thread that thinks it does not have it.
// caught: plain, RobustLock.IsOfNoUseWhenARepairThrows, wrong answer

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

  void lock(const std::function<void()>& repair) {
    int result = ::pthread_mutex_lock(&mutex_);
    if (result == EOWNERDEAD) return take_over(repair);
    check(result, "RobustLock::lock");
  }

  bool try_lock(const std::function<void()>& repair) {
    int result = ::pthread_mutex_trylock(&mutex_);
    if (result == EBUSY) return false;
    if (result == EOWNERDEAD) {
      take_over(repair);
    } else {
      check(result, "RobustLock::try_lock");
    }
    return true;
  }

  void unlock() { check(::pthread_mutex_unlock(&mutex_), "RobustLock::unlock"); }

 private:
  static void check(int error, const char* call) {
    if (error != 0) throw std::system_error(error, std::generic_category(), call);
  }

  // EOWNERDEAD: this thread holds the lock, and the last holder did not give it back.
  void take_over(const std::function<void()>& repair) {
    repair();
    // Only now. Should this process die in its repair, the next one is told EOWNERDEAD as well.
    check(::pthread_mutex_consistent(&mutex_), "pthread_mutex_consistent");
  }

  pthread_mutex_t mutex_;
};
