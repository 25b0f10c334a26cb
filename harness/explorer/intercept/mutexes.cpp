// pthread_mutex_t, which is also what std::mutex, timed_mutex, recursive_mutex and call_once's users are made of.

#include <cerrno>
#include <ctime>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/clocks.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/mutexes.hpp"
#include "explorer/intercept/real.hpp"

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
  take(object);
  return 0;
}

}  // namespace

void unlock_mutex(pthread_mutex_t* mutex) {
  SyncObject& object = engine.object(mutex);
  object.owner = -1;
  object.count = 0;
  engine.release(object);
  engine.changed(object);
  engine.note_write(object.address);
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
    take(object);
    return 0;
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
  if (object.owner != engine.current().id)
    engine.fail(Failure::assertion, "a mutex is unlocked by a thread that does not hold it");
  if (object.count > 1) {
    --object.count;
    return 0;
  }
  unlock_mutex(mutex);
  return 0;
}
