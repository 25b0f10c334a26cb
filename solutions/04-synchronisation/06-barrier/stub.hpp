#pragma once

// 4.6 barrier: let a fixed number of threads wait for one another, again and again, and let none wait in vain.
//
// Python's `threading.Barrier`, with its action, `abort`, `reset` and broken state; BrokenBarrier is its
// `BrokenBarrierError`.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>

#include "exercise/not_done.hpp"

/// What the parties of a round get when they will not all meet.
struct BrokenBarrier : std::runtime_error {
  BrokenBarrier() : std::runtime_error("the barrier is broken") {}
};

/// A place where `parties` threads meet. Each calls wait() or wait_for(); that makes a round, and then the next round
/// begins with the same barrier. A party that is released may come again at once, before the others have left.
///
/// A round is complete when all the parties have come and the action, if there is one, has returned. Then all of them
/// return normally, whatever happens later. Until then the barrier can be broken: by abort(), by a time-out, by an
/// action that throws. Then all parties of the round throw BrokenBarrier and wait no longer. A broken barrier stays
/// broken, and every call of wait() and wait_for() throws BrokenBarrier, until reset().
///
/// The action is called once in each round, by one of the parties, when all have come and before any is released. It
/// may take long: abort() works meanwhile, and sends those who wait away. If it throws, the party that called it throws
/// that exception in place of BrokenBarrier.
///
/// What each party did before it came happens before what any of them does after the round (in the sense of the memory
/// model). A party that waits sleeps.
///
/// At most `parties` threads are in wait() and wait_for() at any time; any thread may call the other functions. The
/// barrier is destroyed when nobody is inside any more.
class Barrier {
 public:
  /// `parties` is 1 or more; less throws std::invalid_argument.
  explicit Barrier(int parties, std::function<void()> action = nullptr) {
    (void)parties, (void)action;  // take this line out once you use them
    interleave::not_done();
  }

  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  /// Waits until the round is complete. Returns the party's index in it: from 0 to parties - 1, different for each.
  int wait() { interleave::not_done(); }

  /// The same, but if the round is not complete after `timeout`, breaks the barrier.
  int wait_for(std::chrono::nanoseconds timeout) {
    (void)timeout;  // take this line out once you use it
    interleave::not_done();
  }

  /// Breaks the barrier, whether anybody waits or not.
  void abort() { interleave::not_done(); }

  /// Makes the barrier as good as new: not broken, and nobody there yet. Parties that had come already throw
  /// BrokenBarrier, even if they wake when new ones have come.
  void reset() { interleave::not_done(); }

  /// Whether the barrier is broken.
  bool broken() const { interleave::not_done(); }
};
