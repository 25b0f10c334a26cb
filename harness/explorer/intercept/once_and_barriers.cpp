// pthread_once, which is also std::call_once; pthread_barrier_t; and the guards of static locals
// (Itanium C++ ABI, 3.3.3).

#include <pthread.h>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/real.hpp"

using namespace explorer;

namespace {

enum : int { untouched = 0, begun = 1, done = 2 };

bool is_not_begun(const Thread& thread) { return thread.object->count != begun; }

}  // namespace

EXPLORER_INTERCEPTED int pthread_once(pthread_once_t* once, void (*run)()) {
  if (!active) return real().pthread_once(once, run);
  SyncObject& object = engine.object(once);
  // One that was done before the schedules began.
  if (object.count == untouched && *once == done) object.count = done;
  engine.contend({OperationKind::once, true, once}, object, WaitReason::once, is_not_begun);
  {
    Unobserved unobserved;
    engine.acquire(object);
    if (object.count == done) return 0;
    object.count = begun;
    object.owner = engine.current().id;
    engine.changed(object);
  }
  auto leave = [&](int state) {
    Unobserved unobserved;
    object.count = state;
    object.owner = -1;
    engine.release(object);
    engine.changed(object);
    engine.note_write(once);
  };
  try {
    run();
  } catch (...) {
    leave(untouched);
    throw;
  }
  *once = done;
  leave(done);
  return 0;
}

EXPLORER_INTERCEPTED int __cxa_guard_acquire(std::uint64_t* guard) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(guard);
  if (!active) {
    if (bytes[0] != 0) return 0;
    bytes[1] = 1;
    return 1;
  }
  SyncObject& object = engine.object(guard);
  if (object.count == begun && object.owner == engine.current().id)
    engine.fail(Failure::crash, "a static local variable is initialised by its own initialisation");
  engine.contend({OperationKind::guard, true, guard}, object, WaitReason::once, is_not_begun);
  Unobserved unobserved;
  engine.acquire(object);
  if (bytes[0] != 0) return 0;
  object.count = begun;
  object.owner = engine.current().id;
  engine.changed(object);
  return 1;
}

namespace {

void leave_guard(std::uint64_t* guard, bool initialised) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(guard);
  bytes[1] = 0;
  bytes[0] = initialised ? 1 : 0;
  if (!active) return;
  Unobserved unobserved;
  SyncObject& object = engine.object(guard);
  object.count = untouched;
  object.owner = -1;
  engine.release(object);
  engine.changed(object);
}

}  // namespace

EXPLORER_INTERCEPTED void __cxa_guard_release(std::uint64_t* guard) noexcept { leave_guard(guard, true); }
EXPLORER_INTERCEPTED void __cxa_guard_abort(std::uint64_t* guard) noexcept { leave_guard(guard, false); }

EXPLORER_INTERCEPTED int pthread_barrier_wait(pthread_barrier_t* barrier) noexcept {
  if (!active) return real().pthread_barrier_wait(barrier);
  engine.point({OperationKind::barrier, true, barrier});
  SyncObject& object = engine.object(barrier);
  bool last = false;
  {
    Unobserved unobserved;
    // glibc's layout: in, current_round, count, shared, out.
    auto needed = static_cast<int>(reinterpret_cast<unsigned*>(barrier)[2]);
    engine.release(object);
    last = ++object.count == needed;
    if (last) {
      object.count = 0;
      engine.acquire(object);
      engine.notify(object, max_threads);
    }
  }
  if (last) return PTHREAD_BARRIER_SERIAL_THREAD;
  engine.wait(object, WaitReason::barrier);
  Unobserved unobserved;
  engine.acquire(object);
  return 0;
}
