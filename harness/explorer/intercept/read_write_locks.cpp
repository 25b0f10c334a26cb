// pthread_rwlock_t, which is also std::shared_mutex and shared_timed_mutex.

#include <cerrno>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/clocks.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/real.hpp"

using namespace explorer;

namespace {

bool may_read(const Thread& thread) { return thread.object->owner < 0; }
bool may_write(const Thread& thread) { return thread.object->owner < 0 && thread.object->readers == 0; }

void take_for_reading(SyncObject& object) {
  ++object.readers;
  engine.acquire(object);
  engine.changed(object);
}

void take_for_writing(SyncObject& object) {
  object.owner = engine.current().id;
  engine.acquire(object);
  engine.current().clock.join(object.read_clock, engine.width());
  engine.changed(object);
}

int lock(pthread_rwlock_t* lock, bool writes, std::int64_t deadline) {
  SyncObject& object = engine.object(lock);
  if (object.owner == engine.current().id) return EDEADLK;
  bool taken =
      writes
          ? engine.contend({OperationKind::write_lock, true, lock}, object, WaitReason::write_lock, may_write, deadline)
          : engine.contend({OperationKind::read_lock, true, lock}, object, WaitReason::read_lock, may_read, deadline);
  if (!taken) return ETIMEDOUT;
  Unobserved unobserved;
  (writes ? take_for_writing : take_for_reading)(object);
  return 0;
}

int try_lock(pthread_rwlock_t* lock, bool writes) {
  engine.point({writes ? OperationKind::write_lock : OperationKind::read_lock, true, lock});
  Unobserved unobserved;
  SyncObject& object = engine.object(lock);
  if (object.owner >= 0 || (writes && object.readers > 0)) {
    engine.note_read(lock,
                     static_cast<std::uint64_t>(object.owner + 1) << 32 | static_cast<std::uint64_t>(object.readers));
    return EBUSY;
  }
  (writes ? take_for_writing : take_for_reading)(object);
  return 0;
}

}  // namespace

EXPLORER_INTERCEPTED int pthread_rwlock_rdlock(pthread_rwlock_t* l) noexcept {
  return active ? lock(l, false, never) : real().pthread_rwlock_rdlock(l);
}
EXPLORER_INTERCEPTED int pthread_rwlock_wrlock(pthread_rwlock_t* l) noexcept {
  return active ? lock(l, true, never) : real().pthread_rwlock_wrlock(l);
}
EXPLORER_INTERCEPTED int pthread_rwlock_tryrdlock(pthread_rwlock_t* l) noexcept {
  return active ? try_lock(l, false) : real().pthread_rwlock_tryrdlock(l);
}
EXPLORER_INTERCEPTED int pthread_rwlock_trywrlock(pthread_rwlock_t* l) noexcept {
  return active ? try_lock(l, true) : real().pthread_rwlock_trywrlock(l);
}
EXPLORER_INTERCEPTED int pthread_rwlock_timedrdlock(pthread_rwlock_t* l, const timespec* time) noexcept {
  return active ? lock(l, false, virtual_time(*time)) : real().pthread_rwlock_timedrdlock(l, time);
}
EXPLORER_INTERCEPTED int pthread_rwlock_timedwrlock(pthread_rwlock_t* l, const timespec* time) noexcept {
  return active ? lock(l, true, virtual_time(*time)) : real().pthread_rwlock_timedwrlock(l, time);
}
EXPLORER_INTERCEPTED int pthread_rwlock_clockrdlock(pthread_rwlock_t* l, clockid_t clock,
                                                    const timespec* time) noexcept {
  return active ? lock(l, false, virtual_time(*time)) : real().pthread_rwlock_clockrdlock(l, clock, time);
}
EXPLORER_INTERCEPTED int pthread_rwlock_clockwrlock(pthread_rwlock_t* l, clockid_t clock,
                                                    const timespec* time) noexcept {
  return active ? lock(l, true, virtual_time(*time)) : real().pthread_rwlock_clockwrlock(l, clock, time);
}

EXPLORER_INTERCEPTED int pthread_rwlock_unlock(pthread_rwlock_t* l) noexcept {
  if (!active) return real().pthread_rwlock_unlock(l);
  engine.point({OperationKind::read_write_unlock, true, l});
  Unobserved unobserved;
  SyncObject& object = engine.object(l);
  if (object.owner == engine.current().id) {
    object.owner = -1;
    engine.release(object);
  } else if (object.readers > 0) {
    --object.readers;
    object.read_clock.join(engine.current().clock, engine.width());
    engine.tick();
  } else {
    engine.fail(Failure::assertion, "a shared mutex is unlocked by a thread that does not hold it");
  }
  engine.changed(object);
  engine.note_write(l);
  return 0;
}
