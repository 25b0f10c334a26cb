#pragma once

#include "grader/run_outcome.hpp"
#include "grader/verdict.hpp"
#include "grader/workbook.hpp"

namespace interleave {

/// Turns what the supervisor saw of one run into the verdict of one lens. A pure function, but for reading the graded
/// file to find the line where the tested function stands.
LensVerdict judge(const RunOutcome& outcome, const Exercise& exercise, const Solution& solution,
                  const std::string& lens);

}  // namespace interleave
