#pragma once

#include <string>

#include "grader/verdict.hpp"
#include "tool/terminal.hpp"

namespace interleave {

/// The timeline of a failing schedule: a column per thread, a row per step, the line of the source beside it. At most
/// `most_rows` rows, the last ones; 0 is all. Fits the style's width, 80 columns if that is less.
std::string timeline_text(const Timeline& timeline, const Style& style, std::size_t most_rows);

}  // namespace interleave
