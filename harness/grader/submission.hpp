#pragma once

#include <filesystem>
#include <string>

#include "grader/workbook.hpp"

namespace interleave {

/// Takes the one file of `exercise` that a learner edits from the checkout at `submission`, as bytes, to where it is
/// graded. Nothing else of the checkout is looked at. Returns why that could not be done, in a sentence; empty if it was.
/// Throws std::runtime_error where this machine is at fault.
std::string take_submission(const Workbook& workbook, const Exercise& exercise, const std::filesystem::path& submission);

}  // namespace interleave
