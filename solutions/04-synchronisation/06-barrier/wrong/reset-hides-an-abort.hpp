// Leaves those who waited at an abort() out of a reset(), for abort() has told them: but told is not awake, and when
// they look, broken is false again and they go back to sleep in a round that is not theirs.
// caught: explore, Barrier.ResetAfterAnAbortKeepsThoseWhoWaitedOutOfTheNextRound, deadlock

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

struct BrokenBarrier : std::runtime_error {
  BrokenBarrier() : std::runtime_error("the barrier is broken") {}
};

class Barrier {
 public:
  explicit Barrier(int parties, std::function<void()> action = nullptr)
      : parties_(parties), action_(std::move(action)) {
    if (parties < 1) throw std::invalid_argument("Barrier: fewer than one party");
  }

  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  int wait() { return wait_until(std::nullopt); }

  int wait_for(std::chrono::nanoseconds timeout) { return wait_until(std::chrono::steady_clock::now() + timeout); }

  void abort() {
    std::lock_guard lock(mutex_);
    break_it();
  }

  void reset() {
    std::lock_guard lock(mutex_);
    if (!broken_) begin_a_new_round();
    arrived_ = 0;
    broken_ = false;
  }

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
      auto is_over = [&] { return round_ != round || broken_; };
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
      if (round_ != round || broken_) return;  // broken in the meantime
    }
    last_complete_ = round;
    begin_a_new_round();
  }

  void break_it() {
    broken_ = true;
    changed_.notify_all();
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
