#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <source_location>
#include <string>
#include <thread>
#include <vector>

#include "explorer/explorer.hpp"

namespace explorer {

/// From inside a schedule: ends it as failed unless `holds`.
inline void require(bool holds, const char* what = "what was required does not hold",
                    std::source_location where = std::source_location::current()) {
  if (!holds) fail(what, where.file_name(), static_cast<int>(where.line()));
}

/// Some of each strategy, with all that the standard allows, in 2,000 schedules at most.
inline Options a_bit_of_everything() {
  Options options;
  options.portfolio = {
      {StrategyKind::systematic, 0, 100, false, false}, {StrategyKind::systematic, 1, 500, false, false},
      {StrategyKind::surw, 0, 400, true, true},         {StrategyKind::pos, 0, 400, true, true},
      {StrategyKind::pct, 3, 400, true, true},          {StrategyKind::random, 0, 200, true, true},
  };
  return options;
}

inline void expect_clean(const std::function<void()>& body,
                         std::source_location where = std::source_location::current()) {
  Report report = explore(body, a_bit_of_everything());
  if (report.failure == Failure::none) return;
  std::string told;
  for (const Step& step : report.trace) told += "\n  T" + std::to_string(step.thread) + " " + step.operation;
  ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
      << "a right program fails: " << name_of(report.failure) << ": " << report.message << "\nin schedule "
      << report.schedules << " of " << report.strategy << ", line " << report.line << told;
}

inline Report expect_failure(Failure expected, const std::function<void()>& body,
                             std::source_location where = std::source_location::current()) {
  Report report = explore(body, a_bit_of_everything());
  if (report.failure != expected) {
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
        << "a wrong program should fail with: " << name_of(expected) << "\nbut after " << report.schedules
        << " schedules: " << name_of(report.failure) << ": " << report.message;
  }
  return report;
}

/// Runs `first` and `second` at the same time.
template <typename First, typename Second>
void run_both(First first, Second second) {
  std::thread one(first), two(second);
  one.join();
  two.join();
}

}  // namespace explorer
