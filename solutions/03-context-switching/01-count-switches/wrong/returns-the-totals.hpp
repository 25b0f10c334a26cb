// Reads the counters after the call, and returns them: they have counted since the thread was started, and not since
// the call was.
// caught: plain, CountSwitches.CountsHowOftenTheThreadBlocks, wrong answer

#pragma once

#include <sys/resource.h>

#include <functional>

struct Switches {
  long voluntary;
  long involuntary;
};

inline Switches count_switches(const std::function<void()>& call) {
  call();
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return {usage.ru_nvcsw, usage.ru_nivcsw};
}
