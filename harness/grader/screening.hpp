#pragma once

#include <filesystem>
#include <vector>

#include "grader/verdict.hpp"

namespace interleave {

/// What a graded file says that no answer needs and a cheat does: the names of the tests' and the grader's own parts, how
/// it is compiled, another solution. Each is a forbidden shortcut, with the line and a sentence. Reads the text alone,
/// without comments, so a file that hides what it says passes here: what it then does is for the confinement and the
/// judge (docs/grader.md).
std::vector<Failure> screen(const std::filesystem::path& file);

}  // namespace interleave
