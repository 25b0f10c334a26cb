#include "explorer/memory/store_history.hpp"

#include <sys/mman.h>

#include <new>

#include "explorer/engine/engine.hpp"

namespace explorer {

namespace {

struct Store {
  std::uint64_t value;
  std::uint32_t clock;  // of the thread that stored
  std::uint8_t thread;
  bool sequentially_consistent;
  bool releases;         // without, there is nothing to acquire, and `released` is not looked at
  VectorClock released;  // what an acquire that reads it acquires
  VectorClock read_at;   // by thread: when it read this first; 0 if it has not
};

struct History {
  static constexpr int most_stores = 8;
  const volatile void* object;
  std::uint32_t generation;
  int count;
  int forgotten;  // stores that were there before stores[0]
  Store stores[most_stores];

  Store& at(int number) { return stores[number % most_stores]; }
  int last_number() const { return forgotten + count - 1; }
};

constexpr std::size_t history_slots = 1 << 11;
History* histories;
VectorClock fence_clock;  // sequentially consistent fences are totally ordered, and synchronise here
std::uint32_t fence_generation;

bool acquires(int order) {
  return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQ_REL ||
         order == __ATOMIC_SEQ_CST;
}
bool releases(int order) { return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST; }

void set_first(History& history, std::uint64_t value) {
  history.count = 1;
  history.forgotten = 0;
  Store& first = history.stores[0];
  first.value = value;
  first.clock = 0;
  first.thread = 0;
  first.sequentially_consistent = false;
  first.releases = false;
  first.read_at.clear(engine.width());
}

History& history_of(const volatile void* object, std::uint64_t last) {
  auto hash = (reinterpret_cast<std::uintptr_t>(object) >> 2) * 0x9E3779B97F4A7C15ULL >> 40;
  for (std::size_t probe = 0; probe < history_slots; ++probe) {
    History& history = histories[(hash + probe) & (history_slots - 1)];
    if (history.generation == engine.generation() && history.object != object) continue;
    if (history.generation != engine.generation()) {
      history.generation = engine.generation();
      history.object = object;
      set_first(history, last);
    } else if (history.at(history.last_number()).value != last) {
      // Written by code that is not instrumented, or a new object at an old address. Believed to be ordered.
      set_first(history, last);
      history.stores[0].releases = true;
      history.stores[0].released.clear(engine.width());
      for (int i = 0; i < engine.thread_count(); ++i)
        history.stores[0].released.join(engine.thread(i).clock, engine.width());
    }
    return history;
  }
  engine.fail(Failure::unsupported, "more than 2048 atomic objects in one schedule");
}

void acquire_from(const Store& store, int order) {
  if (!store.releases) return;
  Thread& me = engine.current();
  (acquires(order) ? me.clock : me.fence_pending).join(store.released, engine.width());
}

void push(History& history, std::uint64_t value, int order, const Store* release_sequence) {
  Thread& me = engine.current();
  if (history.count == History::most_stores) {
    ++history.forgotten;
  } else {
    ++history.count;
  }
  int number = history.last_number();
  Store& store = history.at(number);
  store.releases = true;
  bool goes_on = release_sequence != nullptr && release_sequence->releases;
  if (releases(order)) {
    store.released.copy(me.clock, engine.width());
  } else if (me.has_fence_released) {
    store.released.copy(me.fence_released, engine.width());
  } else if (goes_on) {
    store.released.clear(engine.width());
  } else {
    store.releases = false;
  }
  if (goes_on) store.released.join(release_sequence->released, engine.width());
  store.value = value;
  store.clock = me.clock.time[me.id];
  store.thread = static_cast<std::uint8_t>(me.id);
  store.sequentially_consistent = order == __ATOMIC_SEQ_CST;
  store.read_at.clear(engine.width());
  if (releases(order)) engine.tick();
}

void read_from(Store& store, int order) {
  const Thread& me = engine.current();
  std::uint32_t& read_at = store.read_at.time[me.id];
  if (read_at == 0) read_at = me.clock.time[me.id];
  acquire_from(store, order);
}

// Whether the current thread may read nothing older: the store, or a read of it, happens before
// ([intro.races]/16 and 18).
bool hides_older(const Store& store, int order) {
  const VectorClock& now = engine.current().clock;
  if (store.clock <= now.time[store.thread]) return true;
  if (order == __ATOMIC_SEQ_CST && store.sequentially_consistent) return true;
  for (int i = 0; i < engine.thread_count(); ++i) {
    if (store.read_at.time[i] != 0 && store.read_at.time[i] <= now.time[i]) return true;
  }
  return false;
}

}  // namespace

void set_up_store_histories() {
  void* memory = ::mmap(nullptr, sizeof(History) * history_slots, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  histories = static_cast<History*>(memory);
}

std::uint64_t load_from_history(const volatile void* object, std::uint64_t last, int order, bool old_stores) {
  History& history = history_of(object, last);
  int newest = history.last_number();
  int chosen = newest;
  if (old_stores) {
    int oldest = newest;
    while (oldest > history.forgotten && !hides_older(history.at(oldest), order)) --oldest;
    // A store is seen after a while ([intro.progress]/18): who looks a third time sees the last one.
    if (oldest < newest && engine.times_read(object) < 2)
      chosen = newest - engine.choose_value(newest - oldest + 1, ValueKind::old_store);
  }
  Store& store = history.at(chosen);
  read_from(store, order);
  return store.value;
}

void store_to_history(const volatile void* object, std::uint64_t last, std::uint64_t value, int order) {
  push(history_of(object, last), value, order, nullptr);
}

void exchange_in_history(const volatile void* object, std::uint64_t last, std::uint64_t value, int order) {
  History& history = history_of(object, last);
  const Store& before = history.at(history.last_number());
  acquire_from(before, order);
  push(history, value, order, &before);
}

void load_last_from_history(const volatile void* object, std::uint64_t last, int order) {
  History& history = history_of(object, last);
  read_from(history.at(history.last_number()), order);
}

void fence(int order) {
  Thread& me = engine.current();
  if (acquires(order)) me.clock.join(me.fence_pending, engine.width());
  if (order == __ATOMIC_SEQ_CST) {
    if (fence_generation != engine.generation()) {
      fence_generation = engine.generation();
      fence_clock.clear(engine.width());
    }
    me.clock.join(fence_clock, engine.width());
    fence_clock.copy(me.clock, engine.width());
  }
  if (releases(order)) {
    me.fence_released.copy(me.clock, engine.width());
    me.has_fence_released = true;
    engine.tick();
  }
}

}  // namespace explorer
