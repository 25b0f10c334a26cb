// Gives the CPUs back in the last line of the function: an exception does not come there.
// caught: plain, ThreadPingPong.EndsTheGameWhenTheClockThrows, wrong answer

#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <cerrno>
#include <condition_variable>
#include <given/switch_cost.hpp>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

/// What the two threads hand over. Ends the game for both when it is called off.
class Token {
 public:
  enum Side { caller, other };

  void hand_to(Side side) {
    {
      std::lock_guard lock(mutex_);
      holder_ = side;
    }
    handed_over_.notify_one();  // there is but one that waits
  }

  /// Sleeps until `side` has the token. False if the game was called off.
  bool wait_as(Side side) {
    std::unique_lock lock(mutex_);
    handed_over_.wait(lock, [&] { return holder_ == side || called_off_; });
    return !called_off_;
  }

  void call_off() {
    {
      std::lock_guard lock(mutex_);
      called_off_ = true;
    }
    handed_over_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable handed_over_;
  Side holder_ = caller;
  bool called_off_ = false;
};

/// The context switches of this process so far. All but the two threads sleep, so these are theirs.
inline long context_switches() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

inline SwitchCost thread_ping_pong(long round_trips, long warm_up, const Clock& now = steady_clock_now) {
  if (round_trips < 1) throw std::invalid_argument("thread_ping_pong: fewer than 1 round trip");
  if (warm_up < 0) throw std::invalid_argument("thread_ping_pong: a negative warm-up");

  cpu_set_t before, here;
  if (::sched_getaffinity(0, sizeof(before), &before) != 0) {
    throw std::system_error(errno, std::generic_category(), "sched_getaffinity");
  }
  CPU_ZERO(&here);
  CPU_SET(::sched_getcpu(), &here);
  if (::sched_setaffinity(0, sizeof(here), &here) != 0) {
    throw std::system_error(errno, std::generic_category(), "sched_setaffinity");
  }
  Token token;
  std::thread other([&token] {
    while (token.wait_as(Token::other)) token.hand_to(Token::caller);
  });
  struct EndOfTheGame {
    Token& token;
    std::thread& other;
    ~EndOfTheGame() {
      token.call_off();
      other.join();
    }
  } end{token, other};

  auto play = [&token](long trips) {
    for (long i = 0; i < trips; ++i) {
      token.hand_to(Token::other);
      token.wait_as(Token::caller);
    }
  };

  play(warm_up);
  const auto start = now();
  const long switches_at_start = context_switches();
  play(round_trips);
  const long kernel_switches = context_switches() - switches_at_start;
  const std::chrono::nanoseconds elapsed = now() - start;
  ::sched_setaffinity(0, sizeof(before), &before);

  const long switches = 2 * round_trips;
  return {switches, kernel_switches, elapsed, static_cast<double>(elapsed.count()) / static_cast<double>(switches)};
}
