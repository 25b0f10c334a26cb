#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <source_location>
#include <string_view>
#include <thread>

#include "exercise/failure_kind.hpp"

namespace interleave {

/// Watches the other threads of this process from a thread of its own while the test is inside the learner's code: how
/// a test shows, without a clock, that a call sleeps, for how long at the most, and that it does something else only
/// then.
///
///   Onlooker onlooker([&](Onlooker& it) {
///     if (it.wait_until_asleep().what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "f() spins");
///     let_it_go_on();
///   });
///   in_parent([&] { f(); });
///   onlooker.call_is_over();
///
/// The thread blocks every signal, so signals for the process go where they would go without it.
class Onlooker {
 public:
  enum What {
    asleep,  // every other thread slept, all at the same moment
    busy,    // they used far more of the CPU than it takes to fall asleep
    over,    // the call has returned
  };
  struct Sight {
    What what;
    /// When asleep: the shortest time limit of all these sleeps, as it was asked for (what is left of it where the
    /// limit is a point in time). None if only an event can wake them.
    std::optional<std::chrono::nanoseconds> time_limit;
  };

  /// Runs `watch` in the new thread.
  explicit Onlooker(std::function<void(Onlooker&)> watch);
  Onlooker(const Onlooker&) = delete;
  Onlooker& operator=(const Onlooker&) = delete;
  ~Onlooker() { call_is_over(); }

  /// For the test's thread: the call that was watched has returned. Waits for `watch` to return too.
  void call_is_over();

  /// For `watch`. Returns once the other threads are all asleep, or busy, or the call is over. How long that takes does
  /// not matter: busy is a matter of CPU time, not of time.
  Sight wait_until_asleep();

  /// For `watch`: whether the call is over.
  bool is_over() const { return over_; }

  /// The threads that are there now, besides the calling one, are no part of what is watched: a sanitizer's own thread,
  /// which sleeps and wakes up all the time. Called once, before the first test.
  static void leave_out_threads_of_the_runtime();

  /// For `watch`: reports a failure and ends the program. For a call that may not return for a long time.
  [[noreturn]] void fail(FailureKind kind, std::string_view message,
                         std::source_location where = std::source_location::current());

 private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace interleave
