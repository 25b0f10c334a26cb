#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "grader/verdict.hpp"
#include "grader/workbook.hpp"

namespace interleave {

/// Takes the one file of `exercise` that a learner edits from the checkout at `submission`, as bytes, to where it is
/// graded. Nothing else of the checkout is looked at. Returns why that could not be done, in a sentence; empty if it was.
/// Throws std::runtime_error where this machine is at fault.
std::string take_submission(const Workbook& workbook, const Exercise& exercise, const std::filesystem::path& submission);

/// The same verdict with the paths that the file has in the submission, and not where it was graded.
Verdict as_submitted(const Verdict& verdict, const Workbook& workbook, const Exercise& exercise);

/// The files of the checkout at `submission` that are not what they are in the workbook, apart from those that learners
/// edit: what was changed and is not used. Paths from its root, in order; 1000 at the most.
std::vector<std::string> changed_elsewhere(const Workbook& workbook, const std::filesystem::path& submission);

}  // namespace interleave
