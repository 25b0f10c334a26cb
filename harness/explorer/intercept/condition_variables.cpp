// pthread_cond_t, which is also std::condition_variable and, with a mutex of its own, condition_variable_any.

#include <cerrno>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/clocks.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/mutexes.hpp"
#include "explorer/intercept/real.hpp"

using namespace explorer;

namespace {

int wait(pthread_cond_t* condition, pthread_mutex_t* mutex, std::int64_t deadline) {
  engine.point({OperationKind::wait, true, condition});
  {
    Unobserved unobserved;
    if (!owns_mutex(mutex))
      engine.fail(Failure::assertion,
                  "a condition variable is waited on without its mutex held ([thread.condition.condvar]/9)");
    if (is_robust(mutex))
      engine.fail(Failure::unsupported,
                  "a condition variable is waited on with a robust mutex, which the explorer does not model");
    unlock_mutex(mutex);
  }
  bool notified = engine.wait(engine.object(condition), WaitReason::condition, deadline, &engine.object(mutex));
  Unobserved unobserved;
  take_mutex(mutex);
  return notified ? 0 : ETIMEDOUT;
}

int notify(pthread_cond_t* condition, OperationKind kind, int n) {
  engine.point({kind, true, condition});
  Unobserved unobserved;
  SyncObject& object = engine.object(condition);
  int woken = engine.notify(object, n);
  engine.note_value(static_cast<std::uint64_t>(woken));
  return 0;
}

}  // namespace

EXPLORER_INTERCEPTED int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  if (!active) return real().pthread_cond_wait(condition, mutex);
  return wait(condition, mutex, never);
}

EXPLORER_INTERCEPTED int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                                const timespec* time) {
  if (!active) return real().pthread_cond_timedwait(condition, mutex, time);
  return wait(condition, mutex, virtual_time(*time));
}

EXPLORER_INTERCEPTED int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                                const timespec* time) {
  if (!active) return real().pthread_cond_clockwait(condition, mutex, clock, time);
  return wait(condition, mutex, virtual_time(*time));
}

EXPLORER_INTERCEPTED int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  if (!active) return real().pthread_cond_signal(condition);
  return notify(condition, OperationKind::notify_one, 1);
}

EXPLORER_INTERCEPTED int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  if (!active) return real().pthread_cond_broadcast(condition);
  return notify(condition, OperationKind::notify_all, max_threads);
}

EXPLORER_INTERCEPTED int pthread_cond_destroy(pthread_cond_t* condition) noexcept {
  if (!active) return real().pthread_cond_destroy(condition);
  Unobserved unobserved;
  if (engine.object(condition).first_waiter >= 0)
    engine.fail(Failure::assertion, "a condition variable is destroyed while a thread waits on it");
  return 0;
}
