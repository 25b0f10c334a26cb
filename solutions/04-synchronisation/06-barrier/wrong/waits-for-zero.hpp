// Counts the parties, and the last one sets the count back to zero, which the others take for the sign to go on: but a
// fast party comes to the next round before a slow one has looked, the count is 1, and the slow one sleeps on.
// caught: explore, Barrier.HoldsEachPartyInEachRoundUntilAllHaveCome, deadlock

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
    begin_a_new_round();
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
    const std::uint64_t breaks = breaks_;
    const int index = arrived_++;
    if (arrived_ == parties_) {
      complete(lock, breaks);
    } else {
      auto is_over = [&] { return arrived_ == 0; };
      if (!deadline) {
        changed_.wait(lock, is_over);
      } else if (!changed_.wait_until(lock, *deadline, is_over)) {
        break_it();
      }
    }
    if (breaks_ != breaks) throw BrokenBarrier();
    return index;
  }

  void complete(std::unique_lock<std::mutex>& lock, std::uint64_t breaks) {
    if (action_) {
      lock.unlock();  // the action is somebody else's code
      try {
        action_();
      } catch (...) {
        lock.lock();
        if (breaks_ == breaks) break_it();
        throw;
      }
      lock.lock();
      if (breaks_ != breaks) return;  // broken in the meantime
    }
    arrived_ = 0;
    changed_.notify_all();
  }

  void break_it() {
    broken_ = true;
    begin_a_new_round();
  }

  void begin_a_new_round() {
    ++breaks_;
    arrived_ = 0;
    changed_.notify_all();
  }

  const int parties_;
  const std::function<void()> action_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t breaks_ = 0;
  int arrived_ = 0;
  bool broken_ = false;
};
