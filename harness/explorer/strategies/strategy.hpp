#pragma once

#include <cstdint>
#include <memory>

#include "explorer/engine/operation.hpp"
#include "explorer/explorer.hpp"

namespace explorer {

/// What a strategy sees when it must choose who goes on.
struct Candidates {
  const std::uint8_t* threads;    // that can go on, in an order that depends on the schedule alone
  int count;                      // 2 or more
  int current;                    // the thread that ran last, if it is among them; else -1
  const Operation* pending;       // by thread: what each will do when it is chosen
  const std::uint64_t* last_ran;  // by thread: the step at which each ran last
  bool fair;                      // somebody yields: whoever ran longest ago should go
};

/// What kind of value is chosen. Value 0 is what happens when nothing goes out of its way.
enum class ValueKind : std::uint8_t {
  waiter,     // which of the threads that wait is woken
  old_store,  // how many stores back a load reads
  spurious,   // 1: a wait wakes, or a weak exchange fails, for no reason
  time_out,   // 1: the nearest time-out fires although others could still run
};

/// How schedules are chosen. The engine knows nothing of how, a strategy nothing of what is run. One object serves the
/// schedules of one phase; it must choose by the seed and what it is shown alone, so that each run is the same.
/// Nothing in a strategy may allocate between begin() and end(): that is inside a schedule.
class Strategy {
 public:
  virtual ~Strategy() = default;

  /// Before each schedule. False: all that this strategy wanted to see has been seen.
  virtual bool begin(std::uint64_t schedule) = 0;
  /// One of the candidates.
  virtual int next_thread(const Candidates& candidates) = 0;
  /// A value from 0 to n-1; n is 2 or more.
  virtual int next_value(int n, ValueKind kind) = 0;
  /// `thread` does `operation` now. Called for each step, also where there was nothing to choose.
  virtual void took(int thread, const Operation& operation) {
    (void)thread;
    (void)operation;
  }
  /// `thread` was created, or yields: a strategy by priorities gives it a new one.
  virtual void created(int thread) { (void)thread; }
  virtual void yielded(int thread) { (void)thread; }
  /// After each schedule.
  virtual void end(std::uint64_t steps) { (void)steps; }
};

std::unique_ptr<Strategy> make_systematic(int preemption_bound);
std::unique_ptr<Strategy> make_random(std::uint64_t seed);
std::unique_ptr<Strategy> make_pct(std::uint64_t seed, int depth);
std::unique_ptr<Strategy> make_pos(std::uint64_t seed);
std::unique_ptr<Strategy> make_surw(std::uint64_t seed);

/// The strategy that `phase` names.
std::unique_ptr<Strategy> make_strategy(const Phase& phase, std::uint64_t seed);

}  // namespace explorer
