// Puts a mutex of its own before the shared one, "for the threads of this process": one for all locks, so who holds
// one lock keeps the others out of every other.
// caught: plain, RobustLock.IsIndependentOfOtherLocks, over-synchronised

#pragma once

#include <pthread.h>

#include <cerrno>
#include <functional>
#include <mutex>
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
    threads().lock();
    take_over(::pthread_mutex_lock(&mutex_), repair);
  }

  bool try_lock(const std::function<void()>& repair) {
    if (!threads().try_lock()) return false;
    int result = ::pthread_mutex_trylock(&mutex_);
    if (result == EBUSY) threads().unlock();
    if (result == EBUSY) return false;
    take_over(result, repair);
    return true;
  }

  void unlock() {
    check(::pthread_mutex_unlock(&mutex_), "RobustLock::unlock");
    threads().unlock();
  }

 private:
  static std::mutex& threads() {
    static std::mutex mutex;
    return mutex;
  }

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
