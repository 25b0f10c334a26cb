#pragma once

#include <string>

#include "grader/verdict.hpp"

namespace interleave {

/// The first error that a build printed, whole; an error in or through `learner_file` comes before others. The rest is
/// counted, and kept in `raw`.
Failure failure_from_build(const std::string& output, const std::string& learner_file);

}  // namespace interleave
