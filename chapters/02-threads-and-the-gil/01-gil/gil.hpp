#pragma once

// 2.1 gil: a global interpreter lock, which knows who holds it.
//
// CPython's own: `take_gil` and `drop_gil` in Python/ceval_gil.c, `PyGILState_Check()` for "does this thread hold it?",
// and `with lock:` for the holder.

#include "exercise/not_done.hpp"

/// The lock under which an interpreter runs: at most one thread holds it at a time. It belongs to the thread that has
/// acquired it, and knows that thread. Each Gil is a lock of its own, and one thread may hold several.
///
/// What a thread did before release() is seen by the thread that acquires it next.
///
/// Misuse, by a thread that is wrong about what it holds, throws std::logic_error and changes nothing.
///
/// All functions may be called by any number of threads at the same time. Begins as held by nobody. Nobody destroys it
/// while a thread holds it or a call is under way.
class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  /// Takes the lock; the calling thread holds it from then on. If another thread has it, sleeps until that one releases
  /// it: without a time limit, and without using the CPU for longer than it takes to fall asleep.
  ///
  /// If the calling thread holds it already, throws std::logic_error: it would wait for itself.
  void acquire() {
    interleave::not_done();  //
  }

  /// Gives the lock back, and lets a thread that waits in acquire() have it.
  ///
  /// If the calling thread does not hold it, because another one does or nobody, throws std::logic_error.
  void release() {
    interleave::not_done();  //
  }

  /// Whether the calling thread holds it. Does not wait, whoever holds it.
  bool held() const {
    interleave::not_done();  //
  }
};

/// Holds a Gil as long as it lives: acquires it when it is made, and releases it when it goes, also when an exception
/// ends the scope that it stands in. Made and destroyed by the same thread, which does not release the Gil in between.
class GilHolder {
 public:
  /// If the calling thread holds `gil` already, throws std::logic_error; whoever holds it goes on holding it.
  explicit GilHolder(Gil& gil) {
    (void)gil;  // take this line out once you use it
    interleave::not_done();
  }

  GilHolder(const GilHolder&) = delete;
  GilHolder& operator=(const GilHolder&) = delete;

  ~GilHolder() {
    interleave::not_done();  //
  }
};
