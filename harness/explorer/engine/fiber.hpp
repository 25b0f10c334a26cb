#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>

namespace explorer {

/// A flow of control with a real thread's identity. A fiber runs on the stack and with the thread-local storage of a
/// pthread that is parked for good, so thread_local, errno, pthread_self() and exceptions are that thread's; but all
/// fibers run on one kernel thread, and a switch is a few instructions instead of a system call.
///
/// Two back ends: fiber_x86_64.cpp, where user code may set the base of FS (FSGSBASE), and fiber_hand_over.cpp
/// everywhere else, where each fiber is its thread and a switch is a hand-over by futex.
struct Fiber {
  void* stack_pointer = nullptr;
  std::uintptr_t thread_base = 0;  // FS base, the thread control block
  pthread_t thread{};
  char* stack_low = nullptr;   // the whole stack of the thread
  char* stack_high = nullptr;  // where the fiber's own part begins
  char* tls_block = nullptr;   // of the executable, and what it is initialised from
  int go = 0;                  // hand-over only
  bool running_entry = false;  // hand-over only
  void* jump = nullptr;        // hand-over only
};

/// What every fiber runs when it is switched to for the first time after fiber_prepare(). Does not return.
using FiberEntry = void (*)();

/// Bytes of one fiber's stack.
inline constexpr std::size_t fiber_stack_size = 512 * 1024;

/// Whether the fast back end works on this machine.
bool fibers_are_native();

/// Chooses the back end of this process: the fast one if it works here and `hand_over` is false. Before the first
/// fiber.
void choose_fibers(bool hand_over);

/// Makes the calling thread a fiber.
void fiber_adopt(Fiber& fiber);

/// Starts the thread behind `fiber` and parks it, on a stack of fiber_stack_size bytes at `stack`. False if the system
/// refuses another thread.
bool fiber_create(Fiber& fiber, char* stack);

/// Makes `fiber` begin at the entry when it is next switched to, with fresh thread-local variables.
void fiber_prepare(Fiber& fiber, FiberEntry entry);

/// Leaves `from` where it is and goes on with `to`. Returns when something switches to `from`.
void fiber_switch(Fiber& from, Fiber& to);

/// Ends `from` (until it is prepared anew) and goes on with `to`.
[[noreturn]] void fiber_leave(Fiber& from, Fiber& to);

}  // namespace explorer
