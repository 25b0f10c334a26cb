// Each round is a record of its own, which its parties share and which knows how the round went (as Java's
// CyclicBarrier does it).

#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
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

  int wait() {
    return meet([this](Lock& lock, auto decided) {
      changed_.wait(lock, decided);
      return true;
    });
  }

  int wait_for(std::chrono::nanoseconds timeout) {
    return meet([this, timeout](Lock& lock, auto decided) { return changed_.wait_for(lock, timeout, decided); });
  }

  void abort() {
    Lock lock(mutex_);
    broken_ = true;
    decide(*round_, State::broken);
  }

  void reset() {
    Lock lock(mutex_);
    decide(*round_, State::broken);
    round_ = std::make_shared<Round>();
    broken_ = false;
  }

  bool broken() const {
    Lock lock(mutex_);
    return broken_;
  }

 private:
  using Lock = std::unique_lock<std::mutex>;
  enum class State { gathering, complete, broken };
  struct Round {
    int arrived = 0;
    State state = State::gathering;
  };

  template <typename Sleep>
  int meet(Sleep sleep) {
    Lock lock(mutex_);
    if (broken_) throw BrokenBarrier();
    std::shared_ptr<Round> round = round_;
    int index = round->arrived++;
    if (round->arrived == parties_) {
      lock.unlock();
      try {
        if (action_) action_();
      } catch (...) {
        lock.lock();
        break_barrier_in(*round);
        throw;
      }
      lock.lock();
      decide(*round, State::complete);
      if (round == round_ && !broken_) round_ = std::make_shared<Round>();
    } else if (!sleep(lock, [&] { return round->state != State::gathering; })) {
      break_barrier_in(*round);
    }
    if (round->state == State::broken) throw BrokenBarrier();
    return index;
  }

  void break_barrier_in(Round& round) {
    if (round.state != State::gathering) return;
    broken_ = true;
    decide(round, State::broken);
  }

  void decide(Round& round, State state) {
    if (round.state != State::gathering) return;
    round.state = state;
    changed_.notify_all();
  }

  const int parties_;
  const std::function<void()> action_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Round> round_ = std::make_shared<Round>();
  bool broken_ = false;
};
