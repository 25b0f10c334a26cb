#include "explorer/intercept/real.hpp"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace explorer {

namespace {

template <typename Function>
void find(Function& function, const char* name, const char* version = nullptr) {
  // Condition variables have two versions, and without a name dlsym() gives the one of 1999 (dlvsym(3)).
  void* found = version != nullptr ? ::dlvsym(RTLD_NEXT, name, version) : nullptr;
  if (found == nullptr) found = ::dlsym(RTLD_NEXT, name);
  function = reinterpret_cast<Function>(found);
}

RealFunctions find_all() {
  RealFunctions f{};
  const char* condition = "GLIBC_2.3.2";
  find(f.pthread_create, "pthread_create");
  find(f.pthread_join, "pthread_join");
  find(f.pthread_detach, "pthread_detach");
  find(f.pthread_key_create, "pthread_key_create");
  find(f.pthread_mutex_lock, "pthread_mutex_lock");
  find(f.pthread_mutex_trylock, "pthread_mutex_trylock");
  find(f.pthread_mutex_timedlock, "pthread_mutex_timedlock");
  find(f.pthread_mutex_clocklock, "pthread_mutex_clocklock");
  find(f.pthread_mutex_unlock, "pthread_mutex_unlock");
  find(f.pthread_mutex_consistent, "pthread_mutex_consistent");
  find(f.pthread_mutex_init, "pthread_mutex_init");
  find(f.pthread_cond_wait, "pthread_cond_wait", condition);
  find(f.pthread_cond_timedwait, "pthread_cond_timedwait", condition);
  find(f.pthread_cond_clockwait, "pthread_cond_clockwait");
  find(f.pthread_cond_signal, "pthread_cond_signal", condition);
  find(f.pthread_cond_broadcast, "pthread_cond_broadcast", condition);
  find(f.pthread_cond_destroy, "pthread_cond_destroy", condition);
  find(f.pthread_rwlock_rdlock, "pthread_rwlock_rdlock");
  find(f.pthread_rwlock_tryrdlock, "pthread_rwlock_tryrdlock");
  find(f.pthread_rwlock_timedrdlock, "pthread_rwlock_timedrdlock");
  find(f.pthread_rwlock_clockrdlock, "pthread_rwlock_clockrdlock");
  find(f.pthread_rwlock_wrlock, "pthread_rwlock_wrlock");
  find(f.pthread_rwlock_trywrlock, "pthread_rwlock_trywrlock");
  find(f.pthread_rwlock_timedwrlock, "pthread_rwlock_timedwrlock");
  find(f.pthread_rwlock_clockwrlock, "pthread_rwlock_clockwrlock");
  find(f.pthread_rwlock_unlock, "pthread_rwlock_unlock");
  find(f.pthread_barrier_wait, "pthread_barrier_wait");
  find(f.pthread_once, "pthread_once");
  find(f.sem_wait, "sem_wait");
  find(f.sem_trywait, "sem_trywait");
  find(f.sem_timedwait, "sem_timedwait");
  find(f.sem_clockwait, "sem_clockwait");
  find(f.sem_post, "sem_post");
  find(f.clock_gettime, "clock_gettime");
  find(f.sched_yield, "sched_yield");
  find(f.nanosleep, "nanosleep");
  find(f.clock_nanosleep, "clock_nanosleep");
  find(f.cxa_thread_atexit, "__cxa_thread_atexit");
  return f;
}

}  // namespace

const RealFunctions& real() {
  // Not a static local: its guard would come back here (intercept/guards.cpp). The first call is at start-up, when
  // there is one thread.
  static bool found = false;
  static RealFunctions functions;
  if (!found) {
    functions = find_all();
    found = true;
  }
  return functions;
}

void* real_function(const char* name) { return ::dlsym(RTLD_NEXT, name); }

long real_syscall(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "a system call by hand is needed for this processor"
#endif
}

}  // namespace explorer
