// Saves and loads the registers that a call has to preserve, in a dozen instructions: no system call, and a switch
// costs little more than a function call. ucontext is left for other processors.

#pragma once

#include <cxxabi.h>
#include <sys/mman.h>
#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <04-fiber/asan_stack.hpp>

class FiberScheduler {
 public:
  explicit FiberScheduler(std::size_t stack_size = 256 * 1024) : stack_size_(stack_size) {
    if (stack_size == 0) throw std::invalid_argument("FiberScheduler: a stack of 0 bytes");
  }

  FiberScheduler(const FiberScheduler&) = delete;
  FiberScheduler& operator=(const FiberScheduler&) = delete;

  void spawn(std::function<void()> body) {
    auto fiber = std::make_unique<Fiber>(std::move(body), stack_size_);
    begin_with(fiber->side.place, fiber->memory.lowest(), fiber->memory.size(), &FiberScheduler::first_turn);
    ready_.push_back(std::move(fiber));
  }

  void run() {
    if (current_) throw std::logic_error("FiberScheduler::run: called in a fiber");
    while (!ready_.empty()) {
      current_ = std::move(ready_.front());
      ready_.pop_front();
      turn_of_ = this;
      switch_to(caller_, current_->side);
      // Only here, on another stack than the fiber's, can that be given back.
      if (current_->finished) {
        current_.reset();
      } else {
        ready_.push_back(std::move(current_));
      }
    }
    if (first_exception_) std::rethrow_exception(std::exchange(first_exception_, nullptr));
  }

  void yield() {
    if (!current_) throw std::logic_error("FiberScheduler::yield: called outside a fiber");
    switch_to(current_->side, caller_);
  }

 private:
#if defined(__x86_64__) || defined(__aarch64__)
  // Where a flow of control was left: its stack pointer. The registers lie on top of that stack.
  using Place = void*;
#else
  using Place = ucontext_t;
#endif

#if defined(__x86_64__)
  // What a function has to keep for its caller by the System V ABI, and nothing else: all other registers the compiler
  // has saved already, for this is an ordinary call.
  __attribute__((naked, noinline)) static void go_to(Place& /* %rdi */, Place& /* %rsi */) {
    asm(R"(
      pushq %rbp
      pushq %rbx
      pushq %r12
      pushq %r13
      pushq %r14
      pushq %r15
      subq $8, %rsp
      stmxcsr (%rsp)
      fnstcw 4(%rsp)
      movq %rsp, (%rdi)
      movq (%rsi), %rsp
      fldcw 4(%rsp)
      ldmxcsr (%rsp)
      addq $8, %rsp
      popq %r15
      popq %r14
      popq %r13
      popq %r12
      popq %rbx
      popq %rbp
      ret
    )");
  }

  // A stack that looks as if its function had called go_to() as its first deed.
  static void begin_with(Place& place, void* lowest, std::size_t size, void (*function)()) {
    auto* top = reinterpret_cast<std::uint64_t*>(static_cast<std::byte*>(lowest) + size);
    std::uint64_t* word = top - 1;  // a caller's return address, 0: where it lies, the stack is aligned for a call
    *--word = reinterpret_cast<std::uint64_t>(function);  // for the `ret`
    word -= 6;                                            // the registers, all 0
    *--word = 0;
    asm("stmxcsr %0" : "=m"(*reinterpret_cast<std::uint32_t*>(word)));
    asm("fnstcw %0" : "=m"(*(reinterpret_cast<std::uint16_t*>(word) + 2)));
    place = word;
  }
#elif defined(__aarch64__)
  // As the procedure call standard of Arm has it: x19 to x30, and the lower halves of v8 to v15.
  __attribute__((naked, noinline)) static void go_to(Place& /* x0 */, Place& /* x1 */) {
    asm(R"(
      stp x29, x30, [sp, #-160]!
      stp x19, x20, [sp, #16]
      stp x21, x22, [sp, #32]
      stp x23, x24, [sp, #48]
      stp x25, x26, [sp, #64]
      stp x27, x28, [sp, #80]
      stp d8, d9, [sp, #96]
      stp d10, d11, [sp, #112]
      stp d12, d13, [sp, #128]
      stp d14, d15, [sp, #144]
      mov x9, sp
      str x9, [x0]
      ldr x9, [x1]
      mov sp, x9
      ldp x19, x20, [sp, #16]
      ldp x21, x22, [sp, #32]
      ldp x23, x24, [sp, #48]
      ldp x25, x26, [sp, #64]
      ldp x27, x28, [sp, #80]
      ldp d8, d9, [sp, #96]
      ldp d10, d11, [sp, #112]
      ldp d12, d13, [sp, #128]
      ldp d14, d15, [sp, #144]
      ldp x29, x30, [sp], #160
      ret
    )");
  }

  // A stack that looks as if its function had called go_to() as its first deed.
  static void begin_with(Place& place, void* lowest, std::size_t size, void (*function)()) {
    auto* top = reinterpret_cast<std::uint64_t*>(static_cast<std::byte*>(lowest) + size);
    std::uint64_t* word = top - 20;                       // the registers, all 0
    word[1] = reinterpret_cast<std::uint64_t>(function);  // x30, the return address
    place = word;
  }
#else
  static void go_to(Place& from, Place& to) { ::swapcontext(&from, &to); }

  static void begin_with(Place& place, void* lowest, std::size_t size, void (*function)()) {
    ::getcontext(&place);
    place.uc_stack.ss_sp = lowest;
    place.uc_stack.ss_size = size;
    place.uc_link = nullptr;
    ::makecontext(&place, function, 0);
  }
#endif

  // Memory for a stack, with the guard page below.
  class StackMemory {
   public:
    explicit StackMemory(std::size_t size)
        : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))), size_((size + page_ - 1) / page_ * page_) {
      memory_ = ::mmap(nullptr, page_ + size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
      if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap of a fiber's stack");
      if (::mprotect(lowest(), size_, PROT_READ | PROT_WRITE) != 0) {
        int error = errno;
        ::munmap(memory_, page_ + size_);
        throw std::system_error(error, std::generic_category(), "mprotect of a fiber's stack");
      }
    }
    StackMemory(const StackMemory&) = delete;
    StackMemory& operator=(const StackMemory&) = delete;
    ~StackMemory() { ::munmap(memory_, page_ + size_); }

    void* lowest() const { return static_cast<std::byte*>(memory_) + page_; }
    std::size_t size() const { return size_; }

   private:
    std::size_t page_;
    std::size_t size_;
    void* memory_;
  };

  // As <cxxabi.h> does not show it: the Itanium C++ ABI, 2.2.2.
  struct HandledExceptions {
    void* innermost;
    unsigned uncaught;
  };

  // What a switch leaves or goes to: a fiber, or the code that called run().
  struct Side {
    Side() = default;
    Side(void* lowest, std::size_t size) : stack(lowest, size) {}

    Place place{};
    interleave::AsanStack stack;
    HandledExceptions exceptions{};
  };

  struct Fiber {
    Fiber(std::function<void()> function, std::size_t stack_size)
        : body(std::move(function)), memory(stack_size), side(memory.lowest(), memory.size()) {}

    std::function<void()> body;
    StackMemory memory;
    Side side;
    bool finished = false;
  };

  static void switch_to(Side& from, Side& to) {
    void* exceptions = abi::__cxa_get_globals();
    std::memcpy(&from.exceptions, exceptions, sizeof(from.exceptions));
    std::memcpy(exceptions, &to.exceptions, sizeof(to.exceptions));
    from.stack.before_switch_to(to.stack);
    go_to(from.place, to.place);
    from.stack.after_switch();
  }

  // Where a fiber begins, on its own stack.
  static void first_turn() {
    FiberScheduler& scheduler = *turn_of_;
    Fiber& fiber = *scheduler.current_;
    fiber.side.stack.after_switch();
    try {
      fiber.body();
    } catch (...) {
      // There is no caller on this stack who could catch it.
      if (!scheduler.first_exception_) scheduler.first_exception_ = std::current_exception();
    }
    fiber.finished = true;
    switch_to(fiber.side, scheduler.caller_);
  }

  inline static thread_local FiberScheduler* turn_of_ = nullptr;

  std::size_t stack_size_;
  std::deque<std::unique_ptr<Fiber>> ready_;  // in the order of their turns
  std::unique_ptr<Fiber> current_;            // whose turn it is; none outside run()
  Side caller_;
  std::exception_ptr first_exception_;
};
