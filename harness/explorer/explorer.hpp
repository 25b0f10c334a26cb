#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The schedule explorer: runs a body that starts threads by ordinary means again and again, each time in another order
/// of its visible operations, until it fails or a budget of schedules is used up.
///
/// A program that explores is compiled with ThreadSanitizer's instrumentation and linked with this library in place of
/// ThreadSanitizer's runtime (as the Linux kernel does for KCSAN). One thread runs at a time; at each synchronisation,
/// and at each access to memory that was seen shared, a strategy chooses who goes on.
namespace explorer {

enum class Failure : std::uint8_t {
  none,
  assertion,          // fail() was called
  data_race,          // two accesses that nothing orders, one a plain one, one a write ([intro.races]/21)
  deadlock,           // every thread waits for another; a lost wake-up shows as this
  livelock,           // threads run for ever and get nowhere
  crash,              // a signal, std::terminate, an exception that leaves a thread
  memory_error,       // use after free, double free
  exit,               // exit() or abort() inside a schedule
  unsupported,        // something that is not modelled, named in the message
  not_deterministic,  // a failing schedule that did not fail again
};

std::string_view name_of(Failure failure);

/// The ways to choose the next thread. Each is a file in strategies/.
enum class StrategyKind : std::uint8_t { systematic, surw, pos, pct, random };

/// A run of one strategy within the portfolio.
struct Phase {
  StrategyKind strategy = StrategyKind::systematic;
  int bound = 0;               // systematic: preemptions; pct: depth
  std::uint64_t budget = 0;    // schedules at most
  bool old_stores = false;     // loads may return older values, as [atomics.order] allows
  bool spurious_wake = false;  // waits may wake for no reason, and time-outs fire before they must
};

struct Options {
  std::uint64_t seed = 1;
  /// What is tried, in this order. Empty: standard_portfolio(4000).
  std::vector<Phase> portfolio;
  bool race_detection = true;
  /// Threads that hand over to one another in place of fibers, as where there are none.
  bool hand_over = false;
  /// Whether a failing schedule is run again, for its trace and to see that it fails again.
  bool trace = true;
  /// Steps of one schedule before it is run on fairly, and before it is a livelock after that.
  std::uint32_t step_limit = 20'000;
};

/// Systematic with bound 0, 1 and 2, then SURW, POS and PCT, with old stores and spurious wake-ups in half of each.
std::vector<Phase> standard_portfolio(std::uint64_t schedules);

/// One frame of a call stack: the address of the call, and the canonical frame address (DWARF 5, 6.4).
struct Frame {
  std::uintptr_t pc = 0;
  std::uintptr_t cfa = 0;
};

/// One step of a failing schedule.
struct Step {
  int thread = 0;  // in the order of creation; 0 runs the body
  std::string operation;
  std::uintptr_t object = 0;
  int size = 0;                         // of the values, in bytes
  std::optional<std::uint64_t> before;  // of a read-modify-write
  std::optional<std::uint64_t> value;   // read or written
  std::vector<Frame> frames;            // innermost first
};

/// A thread that had not ended when the schedule did.
struct Waiting {
  int thread = 0;
  std::string waits_for;
  std::uintptr_t object = 0;
  int held_by = -1;           // the thread that holds what it waits for
  std::vector<Frame> frames;  // of the call that waits
};

struct Report {
  Failure failure = Failure::none;
  std::string message;
  std::string file;             // of an assertion
  int line = 0;                 // of an assertion
  std::uint64_t schedules = 0;  // that were run
  std::uint64_t steps = 0;      // of all of them
  double seconds = 0;
  std::uint64_t memory = 0;        // bytes: the most that the exploring process had resident at any time
  std::uint64_t cut = 0;           // schedules that were run on fairly, because they did not end
  int complete_bound = -1;         // every schedule with at most so many preemptions was seen
  std::uint64_t within_bound = 0;  // and there were so many
  std::string strategy;            // that found the failure
  std::uint64_t choices = 0;       // a hash of the choices of the failing schedule
  std::vector<Step> trace;
  std::vector<Waiting> waiting;
  std::vector<Frame> first_access;  // of a data race: where the other access was made
};

/// Explores `body`, in a child process, so that a schedule that failed is dropped with all that it held. A failing
/// schedule is run a second time, in a second child, for the trace: if it does not fail again in the same way, that is
/// the failure. The same program gives the same report on each run. Not from inside an exploration; from one thread.
Report explore(const std::function<void()>& body, const Options& options = {});

/// Whether this is a thread of a schedule that is being explored.
bool exploring();

/// From inside `body`: ends the schedule as failed. Does not return if exploring().
void fail(std::string_view message, const char* file, int line);

}  // namespace explorer
