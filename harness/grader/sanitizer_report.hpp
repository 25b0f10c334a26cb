#pragma once

#include <string>

#include "grader/verdict.hpp"

namespace interleave {

/// A sanitizer's raw report, condensed: the kind, what happened in a sentence, and for each access or allocation the
/// learner's line, the thread and what would have ordered two of them. `test_file` stands in where the learner's file
/// does not appear in a stack.
Failure condense(const std::string& report, const std::string& learner_file, const std::string& test_file);

}  // namespace interleave
