#pragma once

#include <gtest/gtest.h>

#include <functional>

namespace interleave {

/// Runs `body` freely some hundred times, or until it fails; under the lens `explore`, through the schedules that the
/// explorer chooses.
void run_interleavings(const std::function<void()>& body);

/// Whether the clocks in the body that runs now are those of the schedule explorer. Then time goes by only when every
/// thread waits for it, and a test may say how long a call took at the most. Everywhere else only a lower bound holds.
bool time_is_virtual();

}  // namespace interleave

/// A test of what happens when threads meet: written once, as a body that starts threads by ordinary std:: means,
/// joins them, and asserts. The lens decides how it is run: freely, a few hundred times, or under the schedule explorer.
/// A body starts from nothing each time and leaves nothing.
#define INTERLEAVING_TEST(suite, name)                                                  \
  static void suite##_##name##_interleaving();                                          \
  TEST(suite, name) { ::interleave::run_interleavings(suite##_##name##_interleaving); } \
  static void suite##_##name##_interleaving()
