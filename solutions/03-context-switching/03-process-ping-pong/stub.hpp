#pragma once

// 3.3 process-ping-pong: what it costs to switch from one process to another on the same CPU, and what it costs if both
// have memory to go over.
//
// Python: `os.sched_setaffinity(0, {cpu})`, `os.fork()` and two `os.pipe()`s.

#include <cstddef>
#include <cstdint>
#include <given/switch_cost.hpp>

#include "exercise/not_done.hpp"

/// What a ping-pong between two processes has measured. A switch takes in what the process does that gets the token.
struct ProcessSwitchCost : SwitchCost {
  std::uint64_t checksum;  // of both working sets, see below
};

/// Lets the calling process and a child process hand a token to and fro, first `warm_up` round trips and then
/// `round_trips`, and returns what one switch cost in the latter. A process that waits for the token sleeps.
///
/// Each process has a working set of its own: `working_set` bytes that nobody else sees, all 0 at first, in lines of 64
/// bytes as the caches have them. What is less than a line at the end does not count, and `working_set` may be 0. The
/// token is a number: 1 when the calling process hands it over for the first time, and one more each time that it is
/// handed over. Who gets it adds it to the first 8 bytes of each line of its working set, in the warm-up as well. The
/// checksum is the sum of all these numbers in both working sets at the end.
///
/// While they play, both may run on one CPU only, the same for both: so each hand-over is a context switch. It is one
/// of the CPUs that the calling thread may use (sched_getaffinity(2)). After the call, the calling thread may use
/// the CPUs that it was allowed to use before, no more and no less.
///
/// `now` is called twice, by the calling process: when the warm-up is over, before the first hand-over that counts, and
/// after the last. Whatever is reported, but for the checksum, is of the time between these calls alone.
///
/// `round_trips` is 1 or more and `warm_up` is 0 or more; otherwise throws std::invalid_argument. Throws
/// std::system_error with the error of the operating system if the processes cannot be kept on one CPU or the child
/// cannot be started. An exception from `now` goes to the caller. In each case the CPUs of the calling thread are what
/// they were. Leaves no process, no zombie and no open descriptor behind.
///
/// Called by one thread at a time, in a process that has no other child and whose other threads sleep.
inline ProcessSwitchCost process_ping_pong(long round_trips, long warm_up, std::size_t working_set,
                                           const Clock& now = steady_clock_now) {
  (void)round_trips, (void)warm_up, (void)working_set, (void)now;  // take this line out once you use them
  interleave::not_done();
}
