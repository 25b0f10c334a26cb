// pthread_mutex_t, which is also what std::mutex, timed_mutex, recursive_mutex and call_once's users are made of.

#include <cerrno>
#include <ctime>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/clocks.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/mutexes.hpp"
#include "explorer/intercept/real.hpp"
#include "explorer/intercept/thread_ends.hpp"

namespace explorer {

namespace {

bool is_free(const Thread& thread) { return thread.object->owner < 0; }

int kind_of(const pthread_mutex_t* mutex) { return mutex->__data.__kind & 3; }

void take(SyncObject& object) {
  object.owner = engine.current().id;
  object.count = 1;
  engine.acquire(object);
  engine.changed(object);
  engine.note_write(object.address);
}

// What the bits of __kind mean is the same since glibc 2.5: they are part of the ABI, by PTHREAD_MUTEX_INITIALIZER.
constexpr int robust_bit = 16;

// What a robust mutex has to say to the thread that takes it. An ordinary one says 0.
int take_robust(pthread_mutex_t* mutex, SyncObject& object) {
  if (!is_robust(mutex)) {
    take(object);
    return 0;
  }
  if (object.robustness == Robustness::not_recoverable) return ENOTRECOVERABLE;
  take(object);
  Thread& me = engine.current();
  constexpr int most = sizeof(me.robust_held) / sizeof(me.robust_held[0]);
  if (me.robust_held_count == most) engine.fail(Failure::unsupported, "a thread holds more than 16 robust mutexes");
  me.robust_held[me.robust_held_count++] = &object;
  if (object.robustness != Robustness::owner_died) return 0;
  object.robustness = Robustness::inconsistent;
  return EOWNERDEAD;
}

void forget_robust(SyncObject& object) {
  Thread& me = engine.current();
  for (int i = 0; i < me.robust_held_count; ++i) {
    if (me.robust_held[i] == &object) me.robust_held[i] = me.robust_held[--me.robust_held_count];
  }
}

// Nobody holds it from here on.
void leave(SyncObject& object) {
  object.owner = -1;
  object.count = 0;
  engine.release(object);
  engine.changed(object);
  engine.note_write(object.address);
}

int lock(pthread_mutex_t* mutex, std::int64_t deadline) {
  SyncObject& object = engine.object(mutex);
  if (object.owner == engine.current().id) {
    if (kind_of(mutex) == PTHREAD_MUTEX_RECURSIVE) {
      engine.point({OperationKind::lock, true, mutex});
      ++object.count;
      return 0;
    }
    if (kind_of(mutex) == PTHREAD_MUTEX_ERRORCHECK) return EDEADLK;
  }
  if (!engine.contend({OperationKind::lock, true, mutex}, object, WaitReason::lock, is_free, deadline))
    return ETIMEDOUT;
  Unobserved unobserved;
  return take_robust(mutex, object);
}

}  // namespace

bool is_robust(const pthread_mutex_t* mutex) { return (mutex->__data.__kind & robust_bit) != 0; }

void unlock_mutex(pthread_mutex_t* mutex) { leave(engine.object(mutex)); }

void abandon_robust_mutexes() {
  Thread& me = engine.current();
  while (me.robust_held_count > 0) {
    SyncObject& object = *me.robust_held[me.robust_held_count - 1];
    engine.point({OperationKind::abandon, true, object.address});
    Unobserved unobserved;
    --me.robust_held_count;
    object.robustness = Robustness::owner_died;
    leave(object);
  }
}

void take_mutex(pthread_mutex_t* mutex) { take(engine.object(mutex)); }

bool owns_mutex(pthread_mutex_t* mutex) { return engine.object(mutex).owner == engine.current().id; }

}  // namespace explorer

using namespace explorer;

EXPLORER_INTERCEPTED int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  if (!active) return real().pthread_mutex_lock(mutex);
  return lock(mutex, never);
}

EXPLORER_INTERCEPTED int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* time) noexcept {
  if (!active) return real().pthread_mutex_timedlock(mutex, time);
  return lock(mutex, virtual_time(*time));
}

EXPLORER_INTERCEPTED int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                                 const timespec* time) noexcept {
  if (!active) return real().pthread_mutex_clocklock(mutex, clock, time);
  return lock(mutex, virtual_time(*time));
}

EXPLORER_INTERCEPTED int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  if (!active) return real().pthread_mutex_trylock(mutex);
  engine.point({OperationKind::try_lock, true, mutex});
  Unobserved unobserved;
  SyncObject& object = engine.object(mutex);
  if (object.owner < 0) {
    engine.note_value(1);
    return take_robust(mutex, object);
  }
  if (object.owner == engine.current().id && kind_of(mutex) == PTHREAD_MUTEX_RECURSIVE) {
    ++object.count;
    return 0;
  }
  engine.note_value(0);
  engine.note_read(mutex, static_cast<std::uint64_t>(object.owner));
  return EBUSY;
}

EXPLORER_INTERCEPTED int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  if (!active) return real().pthread_mutex_unlock(mutex);
  engine.point({OperationKind::unlock, true, mutex});
  Unobserved unobserved;
  SyncObject& object = engine.object(mutex);
  if (object.owner != engine.current().id) {
    // These two notice, and say so.
    if (is_robust(mutex) || kind_of(mutex) == PTHREAD_MUTEX_ERRORCHECK) return EPERM;
    engine.fail(Failure::assertion, "a mutex is unlocked by a thread that does not hold it");
  }
  if (object.count > 1) {
    --object.count;
    return 0;
  }
  forget_robust(object);
  if (object.robustness == Robustness::inconsistent) object.robustness = Robustness::not_recoverable;
  leave(object);
  return 0;
}

EXPLORER_INTERCEPTED int pthread_mutex_consistent(pthread_mutex_t* mutex) noexcept {
  if (!active) return real().pthread_mutex_consistent(mutex);
  Unobserved unobserved;
  SyncObject& object = engine.object(mutex);
  if (!is_robust(mutex) || object.robustness != Robustness::inconsistent || object.owner != engine.current().id)
    return EINVAL;
  object.robustness = Robustness::consistent;
  return 0;
}

// A mutex that is made anew where another one was.
EXPLORER_INTERCEPTED int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) noexcept {
  if (active) {
    Unobserved unobserved;
    SyncObject& object = engine.object(mutex);
    object.owner = -1;
    object.count = 0;
    object.robustness = Robustness::consistent;
  }
  return real().pthread_mutex_init(mutex, attributes);
}
