#pragma once

// 3.1 count-switches: how often a call gave up its CPU, and how often it was taken away.
//
// What Python's `resource.getrusage(resource.RUSAGE_THREAD)` tells as `ru_nvcsw` and `ru_nivcsw`, for one call.

#include <functional>

#include "exercise/not_done.hpp"

/// Context switches: how often threads left their CPU to another one.
struct Switches {
  long voluntary;    // they had to wait for something
  long involuntary;  // they could have gone on
};

/// Runs call() once, in the calling thread, which may be any of the process, and returns its context switches: those of
/// the calling thread, and those of the threads that the call starts, while it runs. Such a thread counts whether it
/// has ended when the call returns or not.
///
/// The switches of the threads that were there before do not count, nor do those that count_switches itself causes: a
/// call that does nothing has no voluntary switch.
///
/// An exception from the call passes through.
///
/// The counters of different threads cannot be read all at one moment. Therefore the threads that were there before
/// sleep when the call begins and when it returns, though not necessarily in between. They neither end meanwhile, nor
/// start others.
inline Switches count_switches(const std::function<void()>& call) {
  (void)call;  // take this line out once you use it
  interleave::not_done();
}
