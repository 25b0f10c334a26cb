// pthread_create and what belongs to a thread's life.

#include <pthread.h>

#include <cerrno>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/real.hpp"
#include "explorer/intercept/thread_ends.hpp"

namespace explorer {

namespace {

struct Key {
  pthread_key_t key;
  void (*destructor)(void*);
};
constexpr int most_keys = 256;
Key keys[most_keys];
int key_count = 0;

Thread* thread_of(pthread_t handle) {
  for (int i = 1; i < engine.thread_count(); ++i) {
    if (engine.thread(i).fiber->thread == handle && !engine.thread(i).joined) return &engine.thread(i);
  }
  return nullptr;
}

bool has_ended(const Thread& thread) { return thread.target->state == Thread::State::finished; }

}  // namespace

void run_key_destructors() {
  for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS; ++round) {
    bool any = false;
    for (int i = 0; i < key_count; ++i) {
      void* value = ::pthread_getspecific(keys[i].key);
      if (value == nullptr) continue;
      ::pthread_setspecific(keys[i].key, nullptr);
      if (keys[i].destructor == nullptr) continue;
      any = true;
      keys[i].destructor(value);
    }
    if (!any) return;
  }
}

}  // namespace explorer

using namespace explorer;

EXPLORER_INTERCEPTED int pthread_create(pthread_t* handle, const pthread_attr_t* attributes, void* (*start)(void*),
                                        void* argument) noexcept {
  if (!active) return real().pthread_create(handle, attributes, start, argument);
  engine.point({OperationKind::create, false, nullptr});
  Unobserved unobserved;
  Thread* thread = engine.create(start, argument);
  if (thread == nullptr) return EAGAIN;
  engine.note_value(static_cast<std::uint64_t>(thread->id));
  int state = PTHREAD_CREATE_JOINABLE;
  if (attributes != nullptr) ::pthread_attr_getdetachstate(attributes, &state);
  thread->detached = state == PTHREAD_CREATE_DETACHED;
  *handle = thread->fiber->thread;
  return 0;
}

EXPLORER_INTERCEPTED int pthread_join(pthread_t handle, void** result) {
  if (!active) return real().pthread_join(handle, result);
  Thread* target = thread_of(handle);
  if (target == nullptr) return ESRCH;
  Thread& me = engine.current();
  if (target == &me) return EDEADLK;
  if (target->detached) return EINVAL;
  me.target = target;
  engine.contend({OperationKind::join, false, nullptr}, engine.object(target), WaitReason::join, has_ended);
  Unobserved unobserved;
  me.target = nullptr;
  me.clock.join(target->clock, engine.width());
  engine.note_value(static_cast<std::uint64_t>(target->id));
  engine.note_write(nullptr);
  target->joined = true;
  if (result != nullptr) *result = target->result;
  return 0;
}

EXPLORER_INTERCEPTED int pthread_detach(pthread_t handle) noexcept {
  if (!active) return real().pthread_detach(handle);
  Thread* target = thread_of(handle);
  if (target == nullptr) return ESRCH;
  target->detached = true;
  return 0;
}

EXPLORER_INTERCEPTED int pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) noexcept {
  int error = real().pthread_key_create(key, destructor);
  if (error == 0 && key_count < most_keys) keys[key_count++] = {*key, destructor};
  return error;
}

// Destructors of thread_local objects (Itanium C++ ABI, 3.3.7): before the thread ends for those who join it.
EXPLORER_INTERCEPTED int __cxa_thread_atexit(void (*run)(void*), void* object, void* library) noexcept {
  if (!active) return real().cxa_thread_atexit(run, object, library);
  Thread& me = engine.current();
  constexpr int most = sizeof(me.destructors) / sizeof(me.destructors[0]);
  if (me.destructor_count == most)
    engine.fail(Failure::unsupported, "a thread has more than 64 thread_local objects with destructors");
  me.destructors[me.destructor_count++] = {run, object};
  return 0;
}
