#pragma once

#include <string>

#include "grader/verdict.hpp"
#include "grader/workbook.hpp"

namespace interleave {

/// Whether the grader is right about a solution whose answer is known: a stub fails every test as "not done", a
/// reference and a right answer pass, a wrong answer fails first at the test and with the kind that its file names.
/// Returns what is not as it should be, with the next step; empty if all is.
std::string complaint_about(const LensVerdict& verdict, const Exercise& exercise, const Solution& solution);

/// The lenses in which a solution is proven: all, or for a wrong answer the one that must catch it.
std::vector<std::string> lenses_of_proof(const Exercise& exercise, const Solution& solution);

/// What a solution needs of the machine to be judged, and what this machine refuses: "private IPC" where it allows no
/// namespaces, as its `// needs: ` line says. Empty if nothing is missing.
std::string missing_here(const Solution& solution);

/// Why this machine could not judge a wrong answer: what the test that must catch it said when it skipped. Empty if it
/// ran.
std::string not_judged_here(const LensVerdict& verdict, const Solution& solution);

/// Every test earns its place: the tests of `all` that no wrong answer is caught by.
std::vector<std::string> tests_without_a_mistake(const Exercise& exercise, const std::vector<std::string>& all);

}  // namespace interleave
