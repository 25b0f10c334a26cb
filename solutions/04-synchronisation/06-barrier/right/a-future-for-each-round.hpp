// Each round is a promise, kept with true when it is complete and with false when it is broken; the parties wait for
// the future, with no condition variable.

#pragma once

#include <chrono>
#include <functional>
#include <future>
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

  int wait() { return meet(std::nullopt); }
  int wait_for(std::chrono::nanoseconds timeout) { return meet(timeout); }

  void abort() {
    std::lock_guard lock(mutex_);
    broken_ = true;
    end_round(false);
  }

  void reset() {
    std::lock_guard lock(mutex_);
    broken_ = false;
    end_round(false);
  }

  bool broken() const {
    std::lock_guard lock(mutex_);
    return broken_;
  }

 private:
  int meet(std::optional<std::chrono::nanoseconds> timeout) {
    std::unique_lock lock(mutex_);
    if (broken_) throw BrokenBarrier();
    const int round = round_;
    const int index = arrived_++;
    const bool last = arrived_ == parties_;
    const std::shared_future<bool> released = released_;
    lock.unlock();

    if (last) {
      try {
        if (action_) action_();
      } catch (...) {
        end_round_if_it_is(round, false);
        throw;
      }
      end_round_if_it_is(round, true);
    } else if (timeout && released.wait_for(*timeout) == std::future_status::timeout) {
      end_round_if_it_is(round, false);
    }
    if (!released.get()) throw BrokenBarrier();
    return index;
  }

  void end_round_if_it_is(int round, bool complete) {
    std::lock_guard lock(mutex_);
    if (round != round_) return;
    if (!complete) broken_ = true;
    end_round(complete);
  }

  void end_round(bool complete) {
    promise_.set_value(complete);
    promise_ = {};
    released_ = promise_.get_future();
    arrived_ = 0;
    ++round_;
  }

  const int parties_;
  const std::function<void()> action_;
  mutable std::mutex mutex_;
  std::promise<bool> promise_;
  std::shared_future<bool> released_ = promise_.get_future();
  int round_ = 0;
  int arrived_ = 0;
  bool broken_ = false;
};
