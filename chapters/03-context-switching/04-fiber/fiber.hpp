#pragma once

// 3.4 fiber: many flows of control that take turns on one thread, switched without the kernel's scheduler.
//
// Python's greenlet, as gevent builds on it. (Python's own coroutines have no stack and yield by `await` alone.)

#include <ucontext.h>

#include <cstddef>
#include <functional>

#include <04-fiber/asan_stack.hpp>

#include "exercise/not_done.hpp"

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
  explicit FiberScheduler(std::size_t stack_size = 256 * 1024) {
    (void)stack_size;  // take this line out once you use it
    interleave::not_done();
  }

  FiberScheduler(const FiberScheduler&) = delete;
  FiberScheduler& operator=(const FiberScheduler&) = delete;

  /// Makes a new fiber, which will run body() and has its turn after all fibers that are there already. Starts nothing.
  /// May be called from a fiber, too. Throws std::system_error with the error of mmap(2) if there is no memory for the
  /// stack; then there is no new fiber.
  void spawn(std::function<void()> body) {
    (void)body;
    interleave::not_done();
  }

  /// Runs the fibers until all are finished, those included that are spawned in the meantime; then more may be spawned,
  /// and run() called again. They take turns in the order in which they were spawned.
  ///
  /// An exception that leaves body() ends this fiber alone. The others go on, and when all are finished run() throws
  /// that exception; if there were several, the one that came first. Called in a fiber of this scheduler, it throws
  /// std::logic_error.
  void run() {
    interleave::not_done();  //
  }

  /// Lets every other unfinished fiber have its turn, then returns. All local variables of the calling fiber are as
  /// they were. So is the exception that it is handling: yield() may be called in a catch block, and there
  /// std::current_exception() and `throw;` still mean the fiber's own exception. (The C++ runtime keeps count of these
  /// for each thread, not for each stack, in the 16 bytes that abi::__cxa_get_globals() of <cxxabi.h> points to.)
  ///
  /// Called outside the fibers of this scheduler, it throws std::logic_error.
  void yield() {
    interleave::not_done();  //
  }

  // What it is made of is up to you: a queue of fibers, each with a ucontext_t, a stack and its body, for example.
};
