// The whole state is one number, odd while the event is set: set() and clear() each add one, so whoever has seen an
// even number waits until it is another one, asleep on that word by futex(2).

#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

class Event {
 public:
  Event() = default;

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() {
    if (!change(clear_to_set)) return;
    ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, INT_MAX);
  }

  void clear() { change(set_to_clear); }

  bool is_set() const { return is_set(state_); }

  void wait() { wait_until(nullptr); }

  bool wait_for(std::chrono::nanoseconds timeout) {
    if (timeout <= timeout.zero()) return is_set();
    auto end = (std::chrono::steady_clock::now() + timeout).time_since_epoch();
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(end);
    timespec deadline{static_cast<time_t>(seconds.count()), static_cast<long>((end - seconds).count())};
    return wait_until(&deadline);
  }

  int waiting() const { return waiting_; }

 private:
  enum Change : std::uint32_t { clear_to_set = 0, set_to_clear = 1 };  // the last bit of the number before

  static bool is_set(std::uint32_t state) { return (state & 1) != 0; }

  // Returns whether there was anything to change.
  bool change(Change from) {
    std::uint32_t state = state_;
    while ((state & 1) == from) {
      if (state_.compare_exchange_weak(state, state + 1)) return true;
    }
    return false;
  }

  // The deadline is a point in time of CLOCK_MONOTONIC, which is what std::chrono::steady_clock reads.
  bool wait_until(const timespec* deadline) {
    const std::uint32_t before = state_;
    if (is_set(before)) return true;
    ++waiting_;  // after the look: whoever sees this thread counted will make a number that is not `before`
    bool in_time = true;
    while (state_ == before && in_time) {
      long result =
          ::syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET_PRIVATE, before, deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
      in_time = result == 0 || errno != ETIMEDOUT;
    }
    --waiting_;
    return state_ != before;
  }

  std::atomic<std::uint32_t> state_ = 0;
  std::atomic<int> waiting_ = 0;
};
