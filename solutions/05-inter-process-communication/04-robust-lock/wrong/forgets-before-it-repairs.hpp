// Marks unfinished work in the memory, and takes the mark away when it begins to repair: if it dies then, nobody knows
// any more that there is something to repair.
// caught: plain, RobustLock.IsRepairedAgainWhenWhoRepairsItDies, wrong answer

#pragma once

#include <pthread.h>

#include <cerrno>
#include <functional>
#include <system_error>
#include <utility>

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
    if (result == EBUSY) return false;
    take_over(result, repair);
    return true;
  }

  void unlock() {
    check(::pthread_mutex_unlock(&mutex_), "RobustLock::unlock");
    work_under_way_ = false;
  }

 private:
  static void check(int error, const char* call) {
    if (error != 0) throw std::system_error(error, std::generic_category(), call);
  }

  // What follows a lock that `result` came from.
  void take_over(int result, const std::function<void()>& repair) {
    if (result != EOWNERDEAD) check(result, "RobustLock: lock");
    // From here on this thread holds the mutex.
    if (result == EOWNERDEAD) ::pthread_mutex_consistent(&mutex_);
    if (!beyond_repair_ && std::exchange(work_under_way_, false)) {
      try {
        repair();
      } catch (...) {
        beyond_repair_ = true;
        ::pthread_mutex_unlock(&mutex_);
        throw;
      }
    }
    if (beyond_repair_) {
      ::pthread_mutex_unlock(&mutex_);
      check(ENOTRECOVERABLE, "RobustLock: what it protects is beyond repair");
    }
    work_under_way_ = true;
  }

  pthread_mutex_t mutex_;
  bool work_under_way_ = false;
  bool beyond_repair_ = false;
};
