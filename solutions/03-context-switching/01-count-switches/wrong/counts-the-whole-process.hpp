// Asks for the counters of the process, as every example of getrusage(2) does: as soon as another thread is there, its
// switches are counted too.
// caught: plain, CountSwitches.LeavesOutTheThreadsThatWereThereBefore, wrong answer

#pragma once

#include <sys/resource.h>

#include <functional>

struct Switches {
  long voluntary;
  long involuntary;
};

inline Switches count_switches(const std::function<void()>& call) {
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  call();
  ::getrusage(RUSAGE_SELF, &after);
  return {after.ru_nvcsw - before.ru_nvcsw, after.ru_nivcsw - before.ru_nivcsw};
}
