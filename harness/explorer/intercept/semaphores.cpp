// sem_t. std::counting_semaphore has no sem_t in it where futexes are: it is made of atomics.

#include <semaphore.h>

#include <cerrno>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/clocks.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/real.hpp"

using namespace explorer;

namespace {

// The count lies in the first word of a sem_t (glibc: the low half of a 64-bit word), where sem_init put it.
int& permits(const volatile void* semaphore) { return *static_cast<int*>(const_cast<void*>(semaphore)); }

bool has_permit(const Thread& thread) { return permits(thread.object->address) > 0; }

int wait(sem_t* semaphore, std::int64_t deadline) {
  SyncObject& object = engine.object(semaphore);
  if (!engine.contend({OperationKind::semaphore_wait, true, semaphore}, object, WaitReason::semaphore, has_permit,
                      deadline)) {
    errno = ETIMEDOUT;
    return -1;
  }
  Unobserved unobserved;
  --permits(semaphore);
  engine.acquire(object);
  engine.changed(object);
  return 0;
}

}  // namespace

EXPLORER_INTERCEPTED int sem_wait(sem_t* semaphore) {
  return active ? wait(semaphore, never) : real().sem_wait(semaphore);
}

EXPLORER_INTERCEPTED int sem_timedwait(sem_t* semaphore, const timespec* time) {
  return active ? wait(semaphore, virtual_time(*time)) : real().sem_timedwait(semaphore, time);
}

EXPLORER_INTERCEPTED int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* time) {
  return active ? wait(semaphore, virtual_time(*time)) : real().sem_clockwait(semaphore, clock, time);
}

EXPLORER_INTERCEPTED int sem_trywait(sem_t* semaphore) noexcept {
  if (!active) return real().sem_trywait(semaphore);
  engine.point({OperationKind::semaphore_wait, true, semaphore});
  Unobserved unobserved;
  SyncObject& object = engine.object(semaphore);
  if (permits(semaphore) <= 0) {
    engine.note_read(semaphore, 0);
    errno = EAGAIN;
    return -1;
  }
  --permits(semaphore);
  engine.acquire(object);
  engine.changed(object);
  return 0;
}

EXPLORER_INTERCEPTED int sem_post(sem_t* semaphore) noexcept {
  if (!active) return real().sem_post(semaphore);
  engine.point({OperationKind::semaphore_post, true, semaphore});
  Unobserved unobserved;
  SyncObject& object = engine.object(semaphore);
  engine.release(object);
  ++permits(semaphore);
  engine.changed(object);
  engine.note_write(semaphore);
  return 0;
}
