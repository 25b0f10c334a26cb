#pragma once

#include "explorer/engine/fiber.hpp"

// Between fiber.cpp and the back end that is compiled in.
namespace explorer {

void futex_wait(int* word, int value);
void futex_wake(int* word);

/// What the thread behind a fiber does for the rest of its life.
[[noreturn]] void back_end_park(Fiber& fiber);

/// Gives the executable's thread-local variables of the fiber's thread their initial values.
void reset_thread_locals(Fiber& fiber);

}  // namespace explorer
