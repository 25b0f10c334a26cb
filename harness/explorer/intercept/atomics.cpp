// What Clang's ThreadSanitizer pass calls in place of atomic operations. Each is a place to switch; what a load reads
// is for the store history to say, except for 16 bytes, which are always sequentially consistent.

#include <cstdint>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/memory/race_detector.hpp"
#include "explorer/memory/store_history.hpp"

namespace explorer {

namespace {

template <typename T>
constexpr bool has_history = sizeof(T) <= 8;

template <typename T>
std::uint64_t bits(T value) {
  return static_cast<std::uint64_t>(value);
}

// Outside of a schedule there may be real threads. Wide ones are not: nothing in the harness has any.
template <typename T>
T real_load(const volatile T* object) {
  if constexpr (has_history<T>) return __atomic_load_n(object, __ATOMIC_SEQ_CST);
  return *object;
}
template <typename T>
bool real_compare_exchange(volatile T* object, T& expected, T desired) {
  if constexpr (has_history<T>)
    return __atomic_compare_exchange_n(object, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  if (*object != expected) {
    expected = *object;
    return false;
  }
  *object = desired;
  return true;
}

// Between these the engine works and nothing else is observed.
struct InEngine {
  InEngine() { active = false; }
  ~InEngine() { active = true; }
};

template <typename T>
T load(const volatile T* object, int order) {
  if (!active) return real_load(object);
  // A third look at a value that has not changed is no new event: a switch before it would tell the same story as one
  // before the second. So a spin costs little, until it is one too many.
  if (int times = engine.times_read(object);
      times >= 2 && times < Engine::spin_of_loads && engine.last_read(object) == bits(*object)) {
    InEngine in_engine;
    engine.note_read(object, bits(*object), Engine::spin_of_loads);
    return *object;
  }
  engine.point({OperationKind::load, false, object});
  InEngine in_engine;
  atomic_access(object, sizeof(T), false);
  T value = *object;
  if constexpr (has_history<T>) {
    value = static_cast<T>(load_from_history(object, bits(value), order, engine.old_stores()));
  } else {
    engine.acquire(engine.object(object));
  }
  engine.note_value(bits(value), sizeof(T));
  engine.note_read(object, bits(value), Engine::spin_of_loads);
  return value;
}

template <typename T>
void store(volatile T* object, T value, int order) {
  if (!active) {
    T before = real_load(object);
    while (!real_compare_exchange(object, before, value)) {
    }
    return;
  }
  engine.point({OperationKind::store, true, object});
  InEngine in_engine;
  atomic_access(object, sizeof(T), true);
  if constexpr (has_history<T>) {
    store_to_history(object, bits(*object), bits(value), order);
  } else {
    engine.release(engine.object(object));
  }
  bool changes = *object != value;
  *object = value;
  engine.note_value(bits(value), sizeof(T));
  if (changes) engine.note_write(object);
}

template <typename T, typename Change>
T exchange(volatile T* object, int order, Change change) {
  if (!active) {
    T before = real_load(object);
    while (!real_compare_exchange(object, before, change(before))) {
    }
    return before;
  }
  engine.point({OperationKind::exchange, true, object});
  InEngine in_engine;
  atomic_access(object, sizeof(T), true);
  T before = *object;
  T after = change(before);
  if constexpr (has_history<T>) {
    exchange_in_history(object, bits(before), bits(after), order);
  } else {
    SyncObject& sync = engine.object(object);
    engine.acquire(sync);
    engine.release(sync);
  }
  *object = after;
  engine.note_update(bits(before), bits(after), sizeof(T));
  if (after == before) {
    engine.note_read(object, bits(before));
  } else {
    engine.note_write(object);
  }
  return before;
}

template <typename T>
bool compare_exchange(volatile T* object, T* expected, T desired, int success, int failure) {
  if (!active) return real_compare_exchange(object, *expected, desired);
  engine.point({OperationKind::exchange, true, object});
  InEngine in_engine;
  T before = *object;
  bool equal = before == *expected;
  atomic_access(object, sizeof(T), equal);
  if constexpr (has_history<T>) {
    if (equal) {
      exchange_in_history(object, bits(before), bits(desired), success);
    } else {
      load_last_from_history(object, bits(before), failure);
    }
  } else {
    SyncObject& sync = engine.object(object);
    engine.acquire(sync);
    if (equal) engine.release(sync);
  }
  if (equal) {
    *object = desired;
    engine.note_update(bits(before), bits(desired), sizeof(T));
    if (desired != before) {
      engine.note_write(object);
    } else {
      engine.note_read(object, bits(before));
    }
    return true;
  }
  *expected = before;
  engine.note_comparison(bits(before), sizeof(T));
  engine.note_read(object, bits(before));
  return false;
}

}  // namespace

}  // namespace explorer

using Wide = unsigned __int128;

#define EXPLORER_ATOMICS(width, T)                                                                                  \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_load(const volatile T* a, int order) {                              \
    return explorer::load<T>(a, order);                                                                             \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED void __tsan_atomic##width##_store(volatile T* a, T v, int order) {                           \
    explorer::store<T>(a, v, order);                                                                                \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_exchange(volatile T* a, T v, int order) {                           \
    return explorer::exchange<T>(a, order, [=](T) { return v; });                                                   \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_fetch_add(volatile T* a, T v, int order) {                          \
    return explorer::exchange<T>(a, order, [=](T old) { return static_cast<T>(old + v); });                         \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_fetch_sub(volatile T* a, T v, int order) {                          \
    return explorer::exchange<T>(a, order, [=](T old) { return static_cast<T>(old - v); });                         \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_fetch_and(volatile T* a, T v, int order) {                          \
    return explorer::exchange<T>(a, order, [=](T old) { return static_cast<T>(old & v); });                         \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_fetch_or(volatile T* a, T v, int order) {                           \
    return explorer::exchange<T>(a, order, [=](T old) { return static_cast<T>(old | v); });                         \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_fetch_xor(volatile T* a, T v, int order) {                          \
    return explorer::exchange<T>(a, order, [=](T old) { return static_cast<T>(old ^ v); });                         \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_fetch_nand(volatile T* a, T v, int order) {                         \
    return explorer::exchange<T>(a, order, [=](T old) { return static_cast<T>(~(old & v)); });                      \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED int __tsan_atomic##width##_compare_exchange_strong(volatile T* a, T* e, T d, int s, int f) { \
    return explorer::compare_exchange<T>(a, e, d, s, f);                                                            \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED int __tsan_atomic##width##_compare_exchange_weak(volatile T* a, T* e, T d, int s, int f) {   \
    return explorer::compare_exchange<T>(a, e, d, s, f);                                                            \
  }                                                                                                                 \
  EXPLORER_INTERCEPTED T __tsan_atomic##width##_compare_exchange_val(volatile T* a, T e, T d, int s, int f) {       \
    explorer::compare_exchange<T>(a, &e, d, s, f);                                                                  \
    return e;                                                                                                       \
  }

EXPLORER_ATOMICS(8, std::uint8_t)
EXPLORER_ATOMICS(16, std::uint16_t)
EXPLORER_ATOMICS(32, std::uint32_t)
EXPLORER_ATOMICS(64, std::uint64_t)
EXPLORER_ATOMICS(128, Wide)

EXPLORER_INTERCEPTED bool explorer_weak_exchange_fails(const volatile void* object) {
  using namespace explorer;
  if (!active) return false;
  InEngine in_engine;
  if (!engine.happens_for_no_reason()) return false;
  engine.note_step(OperationKind::fail, object);
  return true;
}

EXPLORER_INTERCEPTED void __tsan_atomic_thread_fence(int order) {
  using namespace explorer;
  if (!active) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return;
  }
  engine.point({OperationKind::fence, false, nullptr});
  InEngine in_engine;
  fence(order);
}
EXPLORER_INTERCEPTED void __tsan_atomic_signal_fence(int) {}
