#pragma once

// 3.2 thread-ping-pong: what it costs to switch from one thread to another on the same CPU.
//
// Python: `os.sched_setaffinity(0, {cpu})` and two `threading.Thread`s with an `os.eventfd` each.

#include <given/switch_cost.hpp>

#include "exercise/not_done.hpp"

/// Lets two threads hand a token to and fro, first `warm_up` round trips and then `round_trips`, and returns what one
/// switch cost in the latter. The calling thread may be one of the two. A thread that waits for the token sleeps.
///
/// While they play, both may run on one CPU only, the same for both: so each hand-over is a context switch. It is one
/// of the CPUs that the calling thread may use (sched_getaffinity(2)). After the call, the calling thread may use
/// the CPUs that it was allowed to use before, no more and no less.
///
/// `now` is called twice, by one of the two threads: when the warm-up is over, before the first hand-over that counts,
/// and after the last. Whatever is reported is of the time between these calls alone.
///
/// `round_trips` is 1 or more and `warm_up` is 0 or more; otherwise throws std::invalid_argument. Throws
/// std::system_error with the error of the operating system if the threads cannot be kept on one CPU. An exception from
/// `now` goes to the caller. In each case the CPUs of the calling thread are what they were, and no thread is left.
///
/// Called by one thread at a time, in a process whose other threads sleep.
inline SwitchCost thread_ping_pong(long round_trips, long warm_up, const Clock& now = steady_clock_now) {
  (void)round_trips, (void)warm_up, (void)now;  // take this line out once you use them
  interleave::not_done();
}
