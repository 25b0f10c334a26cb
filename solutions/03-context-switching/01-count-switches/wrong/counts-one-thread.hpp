// Asks for the counters of the calling thread, so that no other thread disturbs: those that the call starts do its work
// and are not counted either.
// caught: plain, CountSwitches.CountsAThreadThatTheCallStartsAndJoins, wrong answer

#pragma once

#include <sys/resource.h>

#include <functional>

struct Switches {
  long voluntary;
  long involuntary;
};

inline Switches count_switches(const std::function<void()>& call) {
  rusage before{}, after{};
  ::getrusage(RUSAGE_THREAD, &before);
  call();
  ::getrusage(RUSAGE_THREAD, &after);
  return {after.ru_nvcsw - before.ru_nvcsw, after.ru_nivcsw - before.ru_nivcsw};
}
