#pragma once

#include <string>
#include <vector>

#include "tool/session.hpp"

// One function per command, each in a file of its own. They return the exit status: 0 for success, 1 when something
// failed that was asked about. Throw UsageError for what a person got wrong, std::runtime_error for what the machine
// did.
namespace interleave {

struct CheckOptions {
  std::string exercise;
  std::string lens;     // empty: all
  bool json = false;    // the verdict as JSON instead of text
  bool events = false;  // a JSON record per line as things happen; what the watch reads
};
int check(Session& session, const CheckOptions& options);

struct GradeOptions {
  std::vector<std::string> exercises;  // empty: all
  bool partial = false;                // each lens gives its share; otherwise an exercise counts as a whole
  std::vector<std::string> reports;    // "junit", "junit=grade.xml"
  std::string submission;              // a checkout whose exercise files are graded in place of this one's
  std::string trusted;                 // a checkout by which this one is graded
  std::string base;                    // a commit of this one by which it is graded
};
int grade_exercises(Session& session, const GradeOptions& options);

int watch(Session& session);
int list(Session& session, bool json);
int lesson(Session& session, const std::string& exercise);
int hint(Session& session, const std::string& exercise);
int reset(Session& session, const std::string& exercise, bool yes);
int solution(Session& session, const std::string& exercise, bool yes);
int diff(Session& session, const std::string& exercise);
int doctor(Session& session);

struct VerifyOptions {
  std::vector<std::string> exercises;  // empty: all, and the tool's own tests
  std::string lens;                    // empty: all
  int repeat = 1;
  int seeds = 20;               // wrong answers are explored from so many seeds
  std::uint64_t schedules = 0;  // right answers for so many schedules from each seed; 0: as a learner's
  bool confined = false;        // run as what nobody trusts
};
int verify(Session& session, const VerifyOptions& options);

/// Explores the learner's file again and shows the failing schedule of that token whole.
int replay(Session& session, const std::string& token, const std::string& html_file);

/// One solution whose answer is known, through one lens: what CTest runs.
int prove(Session& session, const std::string& solution_file, const std::string& lens, bool build_first);

/// The table of verdict latencies.
int bench_latency(Session& session, const std::string& exercise, int repeats);

/// What `reset` does to the file: the old text is kept under a dated name, which is returned.
std::string reset_file(const Exercise& exercise);

}  // namespace interleave
