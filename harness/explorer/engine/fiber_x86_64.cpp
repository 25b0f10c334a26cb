// Fibers by hand: a switch saves the callee-saved registers (System V ABI, x86-64, 3.2.1), sets the FS base and the
// stack pointer. About ten nanoseconds.

#if defined(__x86_64__)

#include <cstdint>

#include "explorer/engine/fiber.hpp"
#include "explorer/engine/fiber_back_end.hpp"

// void explorer_switch(void** save_stack_pointer, void* stack_pointer, uintptr_t fs_base)
asm(R"(
.text
.globl explorer_switch
.type explorer_switch, @function
explorer_switch:
  .cfi_startproc
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  wrfsbase %rdx
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
  .cfi_endproc
.size explorer_switch, . - explorer_switch

.globl explorer_fiber_start
.type explorer_fiber_start, @function
explorer_fiber_start:
  .cfi_startproc
  .cfi_undefined rip
  xor %ebp, %ebp
  call *%rbx
  ud2
  .cfi_endproc
.size explorer_fiber_start, . - explorer_fiber_start
)");

extern "C" void explorer_switch(void** save, void* to, std::uintptr_t fs_base);
extern "C" void explorer_fiber_start();

namespace explorer {

namespace {

void park(Fiber&) {
  static int never = 0;
  for (;;) futex_wait(&never, 0);
}

void prepare(Fiber& fiber, FiberEntry entry) {
  reset_thread_locals(fiber);
  auto* top = reinterpret_cast<std::uintptr_t*>(fiber.stack_high);
  *--top = 0;
  *--top = 0;
  *--top = reinterpret_cast<std::uintptr_t>(&explorer_fiber_start);
  *--top = 0;                                        // rbp
  *--top = reinterpret_cast<std::uintptr_t>(entry);  // rbx
  for (int i = 0; i < 4; ++i) *--top = 0;            // r12 to r15
  fiber.stack_pointer = top;
}

void switch_to(Fiber& from, Fiber& to) { explorer_switch(&from.stack_pointer, to.stack_pointer, to.thread_base); }

void leave(Fiber& from, Fiber& to) {
  explorer_switch(&from.stack_pointer, to.stack_pointer, to.thread_base);
  __builtin_trap();
}

}  // namespace

const FiberBackEnd native_fibers = {park, prepare, switch_to, leave};

}  // namespace explorer

#endif
