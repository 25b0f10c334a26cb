#pragma once

#include <functional>
#include <string>
#include <vector>

#include "grader/verdict.hpp"
#include "grader/workbook.hpp"

namespace interleave {

/// Grades one solution of one exercise through the lenses given: builds it, runs each lens's program as soon as it is
/// linked, and judges. `on_lens` sees each lens's verdict as it is there, one call at a time.
/// Throws std::runtime_error with the next step when the grader itself cannot work.
Verdict grade(const Workbook& workbook, const Exercise& exercise, const Solution& solution,
              const std::vector<std::string>& lenses, const std::function<void(const LensVerdict&)>& on_lens = {});

/// How a program is run, where it is not as a learner's.
struct RunOptions {
  int seeds = 1;                       // under explore: each explores anew
  std::uint64_t schedules = 0;         // for each test and seed; 0: what a learner gets
  bool stop_at_first_failure = false;  // nobody asks for the second
  bool confined = false;               // nobody trusts it; needs Confinement::is_possible()
};

/// Runs and judges one program that has been built. Safe to call from several threads.
LensVerdict run_and_judge(const Workbook& workbook, const Exercise& exercise, const Solution& solution,
                          const std::string& lens, const RunOptions& options = {});

/// Why this solution cannot even be compiled (missing, empty, a directory, not readable), in a sentence with the next
/// step; empty if it can.
std::string trouble_with_file(const std::filesystem::path& file, const Exercise& exercise);

}  // namespace interleave
