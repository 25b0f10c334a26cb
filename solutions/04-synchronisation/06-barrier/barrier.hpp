#pragma once

// 4.6 barrier: let a fixed number of threads wait for one another, again and again, and let none wait in vain.
//
// Python's `threading.Barrier`, with its action, `abort`, `reset` and broken state; BrokenBarrier is its
// `BrokenBarrierError`.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

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
  explicit Barrier(int parties, std::function<void()> action = nullptr)
      : parties_(parties), action_(std::move(action)) {
    if (parties < 1) throw std::invalid_argument("Barrier: fewer than one party");
  }

  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  /// Waits until the round is complete. Returns the party's index in it: from 0 to parties - 1, different for each.
  int wait() { return wait_until(std::nullopt); }

  /// The same, but if the round is not complete after `timeout`, breaks the barrier.
  int wait_for(std::chrono::nanoseconds timeout) { return wait_until(std::chrono::steady_clock::now() + timeout); }

  /// Breaks the barrier, whether anybody waits or not.
  void abort() {
    std::lock_guard lock(mutex_);
    break_it();
  }

  /// Makes the barrier as good as new: not broken, and nobody there yet. Parties that had come already throw
  /// BrokenBarrier, even if they wake when new ones have come.
  void reset() {
    std::lock_guard lock(mutex_);
    begin_a_new_round();
    broken_ = false;
  }

  /// Whether the barrier is broken.
  bool broken() const {
    std::lock_guard lock(mutex_);
    return broken_;
  }

 private:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  int wait_until(Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (broken_) throw BrokenBarrier();
    const std::uint64_t round = round_;
    const int index = arrived_++;
    if (arrived_ == parties_) {
      complete(lock, round);
    } else {
      auto is_over = [&] { return round_ != round; };
      if (!deadline) {
        changed_.wait(lock, is_over);
      } else if (!changed_.wait_until(lock, *deadline, is_over)) {
        break_it();
      }
    }
    // The flag is about the barrier as it is now. How this round went is another matter.
    if (last_complete_ != round) throw BrokenBarrier();
    return index;
  }

  void complete(std::unique_lock<std::mutex>& lock, std::uint64_t round) {
    if (action_) {
      lock.unlock();  // the action is somebody else's code
      try {
        action_();
      } catch (...) {
        lock.lock();
        if (round_ == round) break_it();
        throw;
      }
      lock.lock();
      if (round_ != round) return;  // broken in the meantime
    }
    last_complete_ = round;
    begin_a_new_round();
  }

  void break_it() {
    broken_ = true;
    begin_a_new_round();
  }

  // Ends the round for those who are in it: they look for its number, so a wake-up that comes late finds out too.
  void begin_a_new_round() {
    ++round_;
    arrived_ = 0;
    changed_.notify_all();
  }

  const int parties_;
  const std::function<void()> action_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t round_ = 1;
  std::uint64_t last_complete_ = 0;  // no later round can be complete while a party of this one is inside
  int arrived_ = 0;
  bool broken_ = false;
};
