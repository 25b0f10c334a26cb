#pragma once

// 2.2 switch-interval: the global interpreter lock that its holder gives up when asked, and not before.
//
// CPython's hand-over: `sys.setswitchinterval()`, gil_drop_request, and FORCE_SWITCHING in Python/ceval_gil.c.

#include <chrono>

#include "exercise/not_done.hpp"

/// A lock for threads that hold it as long as they run, and stop to think about it only now and then. A thread that
/// waits lets an interval pass, and then asks the holder to drop the lock. The holder finds the request when it looks
/// the next time, and steps back until another thread has had its turn.
///
/// At most one thread holds the lock at a time. What a thread did while it held it is seen by those that hold it later.
///
/// A thread that waits sleeps: until the lock is released, or its interval is over, and no shorter than that. Which of
/// the waiting threads gets the lock is not specified.
///
/// acquire() and drop_requested() may be called by any number of threads at the same time, but acquire() not by the
/// holder. release() and yield_if_requested() are for the holder. Begins as held by nobody. Nobody destroys it while a
/// thread holds it or a call is under way.
class SwitchingGil {
 public:
  /// `interval` is how long a holder is left alone; CPython's default is 5 ms. Zero or less throws
  /// std::invalid_argument.
  explicit SwitchingGil(std::chrono::microseconds interval = std::chrono::milliseconds(5)) {
    (void)interval;  // take this line out once you use it
    interleave::not_done();
  }

  SwitchingGil(const SwitchingGil&) = delete;
  SwitchingGil& operator=(const SwitchingGil&) = delete;

  /// Takes the lock; the calling thread holds it from then on. If another thread has it, sleeps until it is free, and
  /// is woken by the release.
  ///
  /// When an interval has passed in which the lock has not changed hands, requests that its holder drop it, and waits
  /// on. A new holder is left alone for an interval, and then asked as well.
  void acquire() { interleave::not_done(); }

  /// Gives the lock back, and wakes a thread that waits for it. Does not wait if nobody has asked for the lock.
  void release() { interleave::not_done(); }

  /// Whether the holder has been asked to drop the lock. Stays so until the lock changes hands: that clears it. What a
  /// holder looks at between two instructions.
  bool drop_requested() const { interleave::not_done(); }

  /// Where the holder obeys. If it has been asked, gives the lock up, waits until another thread has taken it, and
  /// takes it again when it is free; it does not win it straight back. If nobody has asked, it keeps the lock and
  /// returns at once. The caller holds the lock before and after.
  void yield_if_requested() { interleave::not_done(); }
};
