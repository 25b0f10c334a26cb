#pragma once

// 3.4 fiber: many flows of control that take turns on one thread, switched without the kernel's scheduler.
//
// Python's greenlet, as gevent builds on it. (Python's own coroutines have no stack and yield by `await` alone.)

#include <cxxabi.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <04-fiber/asan_stack.hpp>

/// Fibers that take turns on the thread that calls run(). A fiber runs until it calls yield() or its function is over;
/// nothing else makes it stop. Used by one thread, and destroyed when every fiber that was spawned is finished.
///
/// Each fiber has a stack of its own. Right below it is a guard page, which can be neither read nor written
/// (PROT_NONE), so that a fiber that needs too much ends the process with SIGSEGV and does not write over its
/// neighbour. When a fiber is finished its stack is given back, or kept for the next one: a thousand fibers one after
/// the other need the memory of a few.
///
/// Every switch is announced with an interleave::AsanStack (from the file that is included above), which tells
/// AddressSanitizer. Without AddressSanitizer that does nothing.
class FiberScheduler {
 public:
  /// `stack_size`: what each fiber has for its stack, in bytes, rounded up to whole pages; the guard page comes on top.
  /// 0 throws std::invalid_argument.
  explicit FiberScheduler(std::size_t stack_size = 256 * 1024) : stack_size_(stack_size) {
    if (stack_size == 0) throw std::invalid_argument("FiberScheduler: a stack of 0 bytes");
  }

  FiberScheduler(const FiberScheduler&) = delete;
  FiberScheduler& operator=(const FiberScheduler&) = delete;

  /// Makes a new fiber, which will run body() and has its turn after all fibers that are there already. Starts nothing.
  /// May be called from a fiber, too. Throws std::system_error with the error of mmap(2) if there is no memory for the
  /// stack; then there is no new fiber.
  void spawn(std::function<void()> body) {
    auto fiber = std::make_unique<Fiber>(std::move(body), stack_size_);
    ::getcontext(&fiber->side.context);
    fiber->side.context.uc_stack.ss_sp = fiber->memory.lowest();
    fiber->side.context.uc_stack.ss_size = fiber->memory.size();
    fiber->side.context.uc_link = nullptr;  // no function of a fiber returns
    ::makecontext(&fiber->side.context, &FiberScheduler::first_turn, 0);
    ready_.push_back(std::move(fiber));
  }

  /// Runs the fibers until all are finished, those included that are spawned in the meantime; then more may be spawned,
  /// and run() called again. They take turns in the order in which they were spawned.
  ///
  /// An exception that leaves body() ends this fiber alone. The others go on, and when all are finished run() throws
  /// that exception; if there were several, the one that came first. Called in a fiber of this scheduler, it throws
  /// std::logic_error.
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

  /// Lets every other unfinished fiber have its turn, then returns. All local variables of the calling fiber are as
  /// they were. So is the exception that it is handling: yield() may be called in a catch block, and there
  /// std::current_exception() and `throw;` still mean the fiber's own exception. (The C++ runtime keeps count of these
  /// for each thread, not for each stack, in the 16 bytes that abi::__cxa_get_globals() of <cxxabi.h> points to.)
  ///
  /// Called outside the fibers of this scheduler, it throws std::logic_error.
  void yield() {
    if (!current_) throw std::logic_error("FiberScheduler::yield: called outside a fiber");
    switch_to(current_->side, caller_);
  }

 private:
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

    ucontext_t context{};
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
    ::swapcontext(&from.context, &to.context);
    from.stack.after_switch();
  }

  // Where a fiber begins, on its own stack. makecontext hands over nothing but numbers of type int, so the scheduler is
  // in a variable.
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
