// yield() goes straight from one fiber to the next and not by way of run(), one switch for two; the stack of a
// finished fiber is cleared up by whoever has the next turn, and kept for later ones.

#pragma once

#include <cxxabi.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <04-fiber/asan_stack.hpp>

class FiberScheduler {
 public:
  explicit FiberScheduler(std::size_t stack_size = 256 * 1024)
      : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
        stack_size_((stack_size + page_ - 1) / page_ * page_) {
    if (stack_size == 0) throw std::invalid_argument("FiberScheduler: a stack of 0 bytes");
  }

  FiberScheduler(const FiberScheduler&) = delete;
  FiberScheduler& operator=(const FiberScheduler&) = delete;

  ~FiberScheduler() {
    for (std::byte* stack : unused_stacks_) ::munmap(stack, page_ + stack_size_);
  }

  void spawn(std::function<void()> body) {
    std::byte* stack = take_stack();
    auto* fiber = new Fiber(std::move(body), stack, stack + page_, stack_size_);
    ::getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = stack + page_;
    fiber->context.uc_stack.ss_size = stack_size_;
    // The scheduler's address, in two numbers: arguments of makecontext are of type int.
    auto address = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&fiber->context, reinterpret_cast<void (*)()>(&FiberScheduler::begin), 2,
                  static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
    append(fiber);
  }

  void run() {
    if (running_ != nullptr) throw std::logic_error("FiberScheduler::run: called in a fiber");
    if (first_ != nullptr) {
      running_ = &caller_;
      switch_to_next();
      running_ = nullptr;
    }
    if (first_exception_) {
      std::exception_ptr exception = nullptr;
      std::swap(exception, first_exception_);
      std::rethrow_exception(exception);
    }
  }

  void yield() {
    if (running_ == nullptr) throw std::logic_error("FiberScheduler::yield: called outside a fiber");
    if (first_ == nullptr) return;  // the only one there is
    append(running_);
    switch_to_next();
  }

 private:
  struct HandledExceptions {
    void* innermost;
    unsigned uncaught;
  };

  struct Fiber {
    Fiber() = default;
    Fiber(std::function<void()> function, std::byte* all_of_it, void* lowest, std::size_t size)
        : body(std::move(function)), memory(all_of_it), stack(lowest, size) {}

    std::function<void()> body;
    std::byte* memory = nullptr;  // of the stack and its guard page
    interleave::AsanStack stack;
    ucontext_t context{};
    HandledExceptions exceptions{};
    Fiber* next = nullptr;
  };

  void append(Fiber* fiber) {
    fiber->next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = fiber;
    last_ = fiber;
  }

  std::byte* take_stack() {
    if (!unused_stacks_.empty()) {
      std::byte* stack = unused_stacks_.back();
      unused_stacks_.pop_back();
      return stack;
    }
    void* memory = ::mmap(nullptr, page_ + stack_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    if (::mprotect(memory, page_, PROT_NONE) != 0) {
      int error = errno;
      ::munmap(memory, page_ + stack_size_);
      throw std::system_error(error, std::generic_category(), "mprotect");
    }
    return static_cast<std::byte*>(memory);
  }

  // From the fiber that runs, or from run(), to the first one in the queue; to run() if there is none.
  void switch_to_next() {
    Fiber* from = running_;
    Fiber* to = &caller_;
    if (first_ != nullptr) {
      to = first_;
      first_ = first_->next;
    }
    std::memcpy(&from->exceptions, abi::__cxa_get_globals(), sizeof(HandledExceptions));
    std::memcpy(abi::__cxa_get_globals(), &to->exceptions, sizeof(HandledExceptions));
    running_ = to;
    from->stack.before_switch_to(to->stack);
    ::swapcontext(&from->context, &to->context);
    arrive();
  }

  // First thing on any stack.
  void arrive() {
    running_->stack.after_switch();
    if (finished_ != nullptr) {
      unused_stacks_.push_back(finished_->memory);
      delete std::exchange(finished_, nullptr);
    }
  }

  static void begin(unsigned high, unsigned low) {
    auto* scheduler = reinterpret_cast<FiberScheduler*>((std::uintptr_t{high} << 32) | low);
    scheduler->arrive();
    try {
      scheduler->running_->body();
    } catch (...) {
      if (!scheduler->first_exception_) scheduler->first_exception_ = std::current_exception();
    }
    scheduler->finished_ = scheduler->running_;
    scheduler->switch_to_next();
  }

  std::size_t page_;
  std::size_t stack_size_;
  std::vector<std::byte*> unused_stacks_;
  Fiber caller_;
  Fiber* running_ = nullptr;  // none outside run()
  Fiber* first_ = nullptr;    // the queue of those that are ready
  Fiber* last_ = nullptr;
  Fiber* finished_ = nullptr;  // stands on its stack for the last time; whoever comes next clears up
  std::exception_ptr first_exception_;
};
