#pragma once

// 4.4 event: let threads wait until something has happened.
//
// Python's `threading.Event`, and a function that says how many threads wait for it.

#include <chrono>

#include "exercise/not_done.hpp"

/// A flag that threads can wait for. While it is set every wait() returns at once, and leaves it set. While it is not
/// set, wait() waits until set() is called.
///
/// set() releases every thread that waits at that moment, for good: clear() may follow at once, before any of them has
/// run, and yet they all return. A thread that begins to wait after clear() waits for the next set().
///
/// A thread that waits sleeps: it neither spins nor looks again from time to time, but is woken by set(), or by the end
/// of its own time limit. Nothing else ends a wait; a condition variable may wake up without a reason, wait() does not.
///
/// What a thread did before set() is seen by every thread whose wait that ends or that finds the event set.
///
/// All functions but the constructor may be called by any number of threads at the same time. Nobody destroys it while
/// a call is under way.
class Event {
 public:
  /// A new event is not set.
  Event() { interleave::not_done(); }

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Sets the event, and releases the threads that wait. If it is set already, nothing changes.
  void set() { interleave::not_done(); }

  /// Makes the event not set. If it is not set, nothing changes.
  void clear() { interleave::not_done(); }

  bool is_set() const { interleave::not_done(); }

  /// Waits until the event is set, and returns at once if it is.
  void wait() { interleave::not_done(); }

  /// Waits as wait() does, but for `timeout` at the most, however often the thread is woken in between: the time runs
  /// from when waiting() counts the thread, or from before that. Returns whether the event was set: true if it is when
  /// the call begins, or if set() has released this thread, whatever came after. A `timeout` of zero or less does not
  /// wait.
  bool wait_for(std::chrono::nanoseconds timeout) {
    (void)timeout;  // take this line out once you use it
    interleave::not_done();
  }

  /// How many threads wait at this moment. A set() that comes now releases each of them. A thread whose wait is over,
  /// because it was released or because its time is up, does not count any more once it has returned.
  int waiting() const { interleave::not_done(); }
};
