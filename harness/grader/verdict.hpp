#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "exercise/failure_kind.hpp"

namespace interleave {

/// A line of a file; line 0 if only the file is known, an empty file if not even that.
struct Place {
  std::string file;
  int line = 0;
};

/// A step of a failing schedule: what one thread did while the others stood still.
struct TimelineRow {
  int thread = 0;         // in the order of creation; 0 runs the test
  std::string operation;  // "locks"
  std::string object;     // by the name that a person gave it, where debug information has it
  std::string value;      // that was read or written
  Place place;            // the learner's line, else the test's
};

/// The schedule that an exploration found to fail.
struct Timeline {
  int threads = 0;
  std::vector<TimelineRow> rows;
  std::vector<std::string> waiting;  // who waits for what at the end, a sentence each
  std::string strategy;              // that found it
  std::uint64_t schedule = 0;        // the how-manieth it was
  std::string token;                 // to show it again
};

/// How far the exploration of one test went.
struct Explored {
  std::string test;
  std::uint64_t schedules = 0;
  int complete_bound = -1;            // every schedule with at most so many preemptions was seen; -1: not even that
  std::uint64_t within_bound = 0;     // and there were so many
  std::string strategy;               // that found a failure
  std::vector<std::uint64_t> failed;  // the schedule that failed first, for each seed; 0 where none did
};

/// One thing that was wrong.
struct Failure {
  FailureKind kind = FailureKind::wrong_answer;
  std::string test;                  // "RunCommand.ReadsBothStreams"; empty when it belongs to no test
  std::string message;               // what was expected, and what happened
  Place learner;                     // where to look in the graded file
  Place place;                       // where it was noticed, usually a line of the test
  std::vector<std::string> details;  // who waits for what, the accesses of a race, the notes of an error: line by line
  std::string raw;                   // the whole report of the compiler or sanitizer behind it
  Timeline timeline{};               // of an exploration; no rows where there was none
};

/// A test, or a part of one, that did without what this machine lacks: neither passed nor failed.
struct Skipped {
  std::string test;
  std::string reason;
};

/// What one lens saw.
struct LensVerdict {
  std::string lens;
  bool passed = false;
  std::vector<std::string> tests;         // all, in order
  std::vector<std::string> not_reported;  // those that never came to an end: they have failed
  std::vector<Failure> failures;          // in the order in which they happened
  std::vector<Skipped> skipped;           // what this machine could not judge
  std::string output;                     // what the program printed
  std::vector<Explored> explored;         // the tests that were explored
  double build_seconds = 0;
  double run_seconds = 0;
};

/// The grader's answer on one solution of one exercise. Everything that shows a verdict reads this.
struct Verdict {
  std::string exercise;  // "1.2"
  std::string slug;
  std::string solution;  // path of the graded file
  std::vector<LensVerdict> lenses;

  bool passed() const;
  /// The failure to show first: the first of the first lens that has one.
  const Failure* first_failure() const;
  const LensVerdict* first_failed_lens() const;
};

void to_json(nlohmann::json& json, FailureKind kind);
void from_json(const nlohmann::json& json, FailureKind& kind);
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Place, file, line)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TimelineRow, thread, operation, object, value, place)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Timeline, threads, rows, waiting, strategy, schedule, token)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Explored, test, schedules, complete_bound, within_bound, strategy,
                                                failed)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Failure, kind, test, message, learner, place, details, raw, timeline)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Skipped, test, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LensVerdict, lens, passed, tests, not_reported, failures, skipped,
                                                output, explored, build_seconds, run_seconds)
void to_json(nlohmann::json& json, const Verdict& verdict);
void from_json(const nlohmann::json& json, Verdict& verdict);

}  // namespace interleave
