// Takes yield() for a hint that may be ignored: every fiber comes to its end and nothing is lost, but they run one
// after the other, and one that waits for another would wait for ever.
// caught: plain, FiberScheduler.TakesTurnsInTheOrderOfSpawn, over-synchronised

#pragma once

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

class FiberScheduler {
 public:
  explicit FiberScheduler(std::size_t stack_size = 256 * 1024) : stack_size_(stack_size) {
    if (stack_size == 0) throw std::invalid_argument("FiberScheduler: a stack of 0 bytes");
  }

  FiberScheduler(const FiberScheduler&) = delete;
  FiberScheduler& operator=(const FiberScheduler&) = delete;

  void spawn(std::function<void()> body) {
    auto fiber = std::make_unique<Fiber>(std::move(body), stack_size_);
    ::getcontext(&fiber->side.context);
    fiber->side.context.uc_stack.ss_sp = fiber->memory.lowest();
    fiber->side.context.uc_stack.ss_size = fiber->memory.size();
    fiber->side.context.uc_link = nullptr;  // no function of a fiber returns
    ::makecontext(&fiber->side.context, &FiberScheduler::first_turn, 0);
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
