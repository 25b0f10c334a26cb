#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>
#include <time.h>

#include <cstddef>

namespace explorer {

/// The C library's own functions, behind ours of the same name.
struct RealFunctions {
  decltype(&::pthread_create) pthread_create;
  decltype(&::pthread_join) pthread_join;
  decltype(&::pthread_detach) pthread_detach;
  decltype(&::pthread_key_create) pthread_key_create;
  decltype(&::pthread_mutex_lock) pthread_mutex_lock;
  decltype(&::pthread_mutex_trylock) pthread_mutex_trylock;
  decltype(&::pthread_mutex_timedlock) pthread_mutex_timedlock;
  decltype(&::pthread_mutex_clocklock) pthread_mutex_clocklock;
  decltype(&::pthread_mutex_unlock) pthread_mutex_unlock;
  decltype(&::pthread_mutex_consistent) pthread_mutex_consistent;
  decltype(&::pthread_mutex_init) pthread_mutex_init;
  decltype(&::pthread_cond_wait) pthread_cond_wait;
  decltype(&::pthread_cond_timedwait) pthread_cond_timedwait;
  decltype(&::pthread_cond_clockwait) pthread_cond_clockwait;
  decltype(&::pthread_cond_signal) pthread_cond_signal;
  decltype(&::pthread_cond_broadcast) pthread_cond_broadcast;
  decltype(&::pthread_cond_destroy) pthread_cond_destroy;
  decltype(&::pthread_rwlock_rdlock) pthread_rwlock_rdlock;
  decltype(&::pthread_rwlock_tryrdlock) pthread_rwlock_tryrdlock;
  decltype(&::pthread_rwlock_timedrdlock) pthread_rwlock_timedrdlock;
  decltype(&::pthread_rwlock_clockrdlock) pthread_rwlock_clockrdlock;
  decltype(&::pthread_rwlock_wrlock) pthread_rwlock_wrlock;
  decltype(&::pthread_rwlock_trywrlock) pthread_rwlock_trywrlock;
  decltype(&::pthread_rwlock_timedwrlock) pthread_rwlock_timedwrlock;
  decltype(&::pthread_rwlock_clockwrlock) pthread_rwlock_clockwrlock;
  decltype(&::pthread_rwlock_unlock) pthread_rwlock_unlock;
  decltype(&::pthread_barrier_wait) pthread_barrier_wait;
  decltype(&::pthread_once) pthread_once;
  decltype(&::sem_wait) sem_wait;
  decltype(&::sem_trywait) sem_trywait;
  decltype(&::sem_timedwait) sem_timedwait;
  decltype(&::sem_clockwait) sem_clockwait;
  decltype(&::sem_post) sem_post;
  decltype(&::clock_gettime) clock_gettime;
  int (*sched_yield)();
  decltype(&::nanosleep) nanosleep;
  decltype(&::clock_nanosleep) clock_nanosleep;
  int (*cxa_thread_atexit)(void (*)(void*), void*, void*);
};

const RealFunctions& real();

/// The function `name` behind ours, for those that RealFunctions does not have. Null if there is none.
void* real_function(const char* name);

/// A system call without the C library: no errno, no interception. Returns -errno on failure.
long real_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);

}  // namespace explorer
