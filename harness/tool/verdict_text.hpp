#pragma once

#include <string>

#include "grader/verdict.hpp"
#include "tool/terminal.hpp"

namespace interleave {

/// A verdict for people. All of it reads the one structure; paths are shown from `root` on.

/// One line: the lens, what came of it, how long it took.
std::string lens_line(const LensVerdict& lens, const Style& style);

/// The failure to mend first: kind, test, what was expected and what happened, who waits for what, where to look.
std::string explanation(const LensVerdict& lens, const Failure& failure, const std::string& root, const Style& style);

/// The raw reports behind a verdict, and what the program printed.
std::string raw_report(const Verdict& verdict);

/// All of it: a line per lens, then the first failure explained.
std::string verdict_text(const Verdict& verdict, const std::string& root, const Style& style);

}  // namespace interleave
