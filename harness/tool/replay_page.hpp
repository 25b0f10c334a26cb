#pragma once

#include <filesystem>
#include <string>

#include "grader/verdict.hpp"

namespace interleave {

/// A page that needs nothing else: the timeline of a failure, the source beside it, stepped through with the keyboard.
/// Sources are named as they are below `root`, the workbook's.
std::string replay_page(const Failure& failure, const std::filesystem::path& root);

}  // namespace interleave
