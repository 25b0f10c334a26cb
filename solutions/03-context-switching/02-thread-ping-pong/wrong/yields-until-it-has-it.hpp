// Spins on an atomic, but gives way with yield, as a good neighbour: the CPU does switch, yet a thread that has to wait
// for long eats all the time there is, and sched_yield is not how a program waits.
// caught: plain, ThreadPingPong.SleepsWhileItWaitsForTheToken, wrong answer

#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <given/switch_cost.hpp>
#include <stdexcept>
#include <system_error>
#include <thread>

/// Keeps the calling thread, and the threads that it starts meanwhile, on the CPU where it is.
class OnOneCpu {
 public:
  OnOneCpu() {
    if (::sched_getaffinity(0, sizeof(before_), &before_) != 0) fail("sched_getaffinity");
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(::sched_getcpu(), &here);
    if (::sched_setaffinity(0, sizeof(here), &here) != 0) fail("sched_setaffinity");
  }
  OnOneCpu(const OnOneCpu&) = delete;
  OnOneCpu& operator=(const OnOneCpu&) = delete;
  ~OnOneCpu() { ::sched_setaffinity(0, sizeof(before_), &before_); }

 private:
  [[noreturn]] static void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

  cpu_set_t before_;
};

/// What the two threads hand over.
class Token {
 public:
  enum Side { caller, other };

  void hand_to(Side side) { holder_ = side; }

  /// False if the game was called off.
  bool wait_as(Side side) {
    while (holder_ != side && !called_off_) std::this_thread::yield();
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

  OnOneCpu pinned;  // before the other thread starts: it inherits the CPU
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
