#pragma once

#include "explorer/engine/fiber.hpp"

// Between fiber.cpp and the back ends.
namespace explorer {

struct FiberBackEnd {
  /// What the thread behind a fiber does for the rest of its life.
  void (*park)(Fiber& fiber);
  void (*prepare)(Fiber& fiber, FiberEntry entry);
  void (*switch_to)(Fiber& from, Fiber& to);
  void (*leave)(Fiber& from, Fiber& to);
};

extern const FiberBackEnd hand_over_fibers;
#if defined(__x86_64__)
extern const FiberBackEnd native_fibers;
#endif

void futex_wait(int* word, int value);
void futex_wake(int* word);

/// Gives the executable's thread-local variables of the fiber's thread their initial values.
void reset_thread_locals(Fiber& fiber);

}  // namespace explorer
