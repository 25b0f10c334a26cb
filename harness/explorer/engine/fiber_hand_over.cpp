// Fibers as what they pretend to be: each is its thread, all but one wait, and a switch wakes the next. The process is
// pinned to one core, where a hand-over costs a twentieth of one between cores.

#include <sched.h>

#include <csetjmp>

#include "explorer/engine/fiber.hpp"
#include "explorer/engine/fiber_back_end.hpp"

namespace explorer {

namespace {

void wait_for_turn(Fiber& fiber) {
  while (__atomic_load_n(&fiber.go, __ATOMIC_ACQUIRE) == 0) futex_wait(&fiber.go, 0);
  __atomic_store_n(&fiber.go, 0, __ATOMIC_RELAXED);
}

void give_turn(Fiber& fiber) {
  __atomic_store_n(&fiber.go, 1, __ATOMIC_RELEASE);
  futex_wake(&fiber.go);
}

FiberEntry the_entry = nullptr;

void park(Fiber& fiber) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  ::sched_setaffinity(0, sizeof(one), &one);
  std::jmp_buf again;
  fiber.jump = &again;
  (void)setjmp(again);
  wait_for_turn(fiber);
  reset_thread_locals(fiber);
  the_entry();
  __builtin_trap();
}

void prepare(Fiber&, FiberEntry entry) { the_entry = entry; }

void switch_to(Fiber& from, Fiber& to) {
  give_turn(to);
  wait_for_turn(from);
}

void leave(Fiber& from, Fiber& to) {
  give_turn(to);
  std::longjmp(*static_cast<std::jmp_buf*>(from.jump), 1);
}

}  // namespace

const FiberBackEnd hand_over_fibers = {park, prepare, switch_to, leave};

}  // namespace explorer
