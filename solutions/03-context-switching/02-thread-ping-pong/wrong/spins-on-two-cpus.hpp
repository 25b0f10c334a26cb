// Hands over by an atomic on which both spin, which is by far the fastest: each has a CPU of its own, and no context
// switch is made at all.
// caught: plain, ThreadPingPong.KeepsBothThreadsOnOneCpu, wrong answer

#pragma once

#include <sys/resource.h>

#include <atomic>
#include <given/switch_cost.hpp>
#include <stdexcept>
#include <thread>

/// What the two threads hand over.
class Token {
 public:
  enum Side { caller, other };

  void hand_to(Side side) { holder_ = side; }

  /// False if the game was called off.
  bool wait_as(Side side) {
    while (holder_ != side && !called_off_) {
    }
    return !called_off_;
  }

  void call_off() { called_off_ = true; }

 private:
  std::atomic<Side> holder_ = caller;
  std::atomic<bool> called_off_ = false;
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

  const long switches = 2 * round_trips;
  return {switches, kernel_switches, elapsed, static_cast<double>(elapsed.count()) / static_cast<double>(switches)};
}
