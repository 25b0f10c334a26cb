#pragma once

#include <cstdint>

#include "explorer/engine/fiber.hpp"
#include "explorer/engine/operation.hpp"
#include "explorer/memory/vector_clock.hpp"

namespace explorer {

struct SyncObject;
struct Thread;

/// Whether a thread may take what it contends for: a lock that is free, a semaphore with a permit, a thread that ended.
using MayGo = bool (*)(const Thread&);

/// What a thread waits for, in the words of the report.
enum class WaitReason : std::uint8_t {
  none,
  lock,
  condition,
  join,
  futex,
  semaphore,
  read_lock,
  write_lock,
  sleep,
  barrier,
  once,
  threads
};

inline constexpr std::int64_t never = INT64_MAX;

/// A thread of the schedule.
struct Thread {
  enum class State : std::uint8_t { unused, runnable, blocked, finished };

  int id = 0;
  State state = State::unused;
  WaitReason reason = WaitReason::none;
  SyncObject* object = nullptr;  // that it contends for or waits on
  SyncObject* mutex = nullptr;   // of a condition variable's wait
  MayGo may_go = nullptr;        // contending; else it waits to be notified
  Thread* target = nullptr;      // of a join
  int next_waiting = -1;         // in the object's queue
  bool notified = false;
  bool expired = false;           // its time-out fired
  std::int64_t deadline = never;  // virtual nanoseconds
  bool detached = false;
  bool joined = false;

  // A spin that changes nothing counts as blocked until what it reads is written.
  bool spinning = false;
  bool yielded = false;      // since the last step: the others go first
  bool has_yielded = false;  // since another thread ran
  const volatile void* spin_object = nullptr;
  struct Seen {
    const volatile void* object;
    std::uint64_t value;
    int times;
  } seen[4];
  int seen_next = 0;
  int fruitless_rounds = 0;
  std::uint64_t last_ran = 0;
  std::uint32_t quiet_accesses = 0;  // plain accesses since the last place to switch
  std::uint32_t clock_reads = 0;     // of the virtual clock, one after the other

  VectorClock clock;
  bool has_fence_released = false;
  VectorClock fence_released;  // what a later relaxed store releases ([atomics.fences]/2)
  VectorClock fence_pending;   // what a later acquire fence acquires ([atomics.fences]/4)

  void* (*start)(void*) = nullptr;
  void* argument = nullptr;
  void* result = nullptr;
  struct Destructor {
    void (*run)(void*);
    void* object;
  } destructors[64];
  int destructor_count = 0;
  SyncObject* robust_held[16] = {};  // robust mutexes that it holds
  int robust_held_count = 0;

  Fiber* fiber = nullptr;
};

/// What a robust mutex knows of those who held it (pthread_mutexattr_setrobust(3)).
enum class Robustness : std::uint8_t {
  consistent,
  owner_died,       // nobody holds it: the next one is told
  inconsistent,     // who was told holds it, and has not made it consistent yet
  not_recoverable,  // who was told has unlocked it without that
};

/// Something with an address that threads meet at: what a lock, a semaphore, a condition variable or a futex is for the
/// engine. Its memory in the program is not touched.
struct SyncObject {
  const volatile void* address = nullptr;
  std::uint32_t generation = 0;  // of the schedule that it belongs to
  int owner = -1;                // thread that holds it for writing
  int count = 0;                 // recursion of the owner; permits; arrivals at a barrier
  int readers = 0;
  Robustness robustness = Robustness::consistent;
  int first_contender = -1;  // threads with may_go set; a list through next_waiting
  int first_waiter = -1;     // threads to be notified, the longest waiting first; a list through next_waiting
  VectorClock clock;         // what was released to whoever acquires it
  VectorClock read_clock;    // what readers released to the next writer
};

}  // namespace explorer
