#pragma once

// What the ping-pongs of this chapter (3.2, 3.3) are given and what they report.

#include <chrono>
#include <functional>

/// What a ping-pong has measured.
struct SwitchCost {
  long switches;         // hand-overs that were measured: a round trip, there and back, is two
  long kernel_switches;  // context switches of the two sides meanwhile, voluntary and involuntary, as getrusage(2)
                         // counts
  std::chrono::nanoseconds elapsed;
  double nanoseconds_per_switch;  // elapsed time for each of `switches`
};

/// Tells the time. A benchmark gives the real one; a test may give one that it can foretell.
using Clock = std::function<std::chrono::nanoseconds()>;

inline std::chrono::nanoseconds steady_clock_now() { return std::chrono::steady_clock::now().time_since_epoch(); }
