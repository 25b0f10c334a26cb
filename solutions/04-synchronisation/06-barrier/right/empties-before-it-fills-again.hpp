// Two phases, as CPython has them: first the parties gather, then all of them leave, and nobody comes in before the
// last one has left. What the round came to does not change while they leave.

#pragma once

#include <chrono>
#include <condition_variable>
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

  int wait() { return meet(std::nullopt); }
  int wait_for(std::chrono::nanoseconds timeout) { return meet(Clock::now() + timeout); }

  void abort() {
    std::lock_guard lock(mutex_);
    broken_ = true;
    send_away();
  }

  void reset() {
    std::lock_guard lock(mutex_);
    broken_ = false;
    send_away();
  }

  bool broken() const {
    std::lock_guard lock(mutex_);
    return broken_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;
  enum class Phase { gathering, released, sent_away };

  int meet(std::optional<Clock::time_point> deadline) {
    Lock lock(mutex_);
    if (!sleep(lock, deadline, [this] { return broken_ || phase_ == Phase::gathering; })) {
      broken_ = true;
      changed_.notify_all();
    }
    if (broken_) throw BrokenBarrier();

    int index = inside_++;
    if (inside_ == parties_) {
      lock.unlock();
      try {
        if (action_) action_();
      } catch (...) {
        lock.lock();
        if (phase_ == Phase::gathering) {
          broken_ = true;
          send_away();
        }
        leave();
        throw;
      }
      lock.lock();
      if (phase_ == Phase::gathering) phase_ = Phase::released;
      changed_.notify_all();
    } else if (!sleep(lock, deadline, [this] { return phase_ != Phase::gathering; })) {
      broken_ = true;
      send_away();
    }
    bool released = phase_ == Phase::released;
    leave();
    if (!released) throw BrokenBarrier();
    return index;
  }

  template <typename Condition>
  bool sleep(Lock& lock, std::optional<Clock::time_point> deadline, Condition condition) {
    if (deadline) return changed_.wait_until(lock, *deadline, condition);
    changed_.wait(lock, condition);
    return true;
  }

  void send_away() {
    if (phase_ == Phase::gathering && inside_ > 0) phase_ = Phase::sent_away;
    changed_.notify_all();
  }

  void leave() {
    if (--inside_ > 0) return;
    phase_ = Phase::gathering;
    changed_.notify_all();
  }

  const int parties_;
  const std::function<void()> action_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Phase phase_ = Phase::gathering;
  int inside_ = 0;
  bool broken_ = false;
};
