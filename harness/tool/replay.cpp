#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "grader/grade.hpp"
#include "tool/commands.hpp"
#include "tool/replay_page.hpp"
#include "tool/timeline_text.hpp"

namespace interleave {

namespace {

void write_page(const std::string& file, const std::string& page) {
  std::ofstream stream(file, std::ios::binary);
  stream << page << std::flush;
  if (!stream)
    throw UsageError(fmt::format("Cannot write {}: {}. Name a file in a directory that you can write to.", file,
                                 std::generic_category().message(errno)));
}

}  // namespace

int replay(Session& session, const std::string& token, const std::string& html_file) {
  // "4.2-15-t28p": the exercise, the how-manieth schedule, and a check of its choices.
  auto dash = token.find('-');
  if (dash == std::string::npos)
    throw UsageError("'" + token +
                     "' is no token of a schedule. ./learn check prints one below a timeline, as 4.2-15-t28p.");
  const Exercise& exercise = session.exercise(token.substr(0, dash));
  if (std::find(exercise.lenses.begin(), exercise.lenses.end(), "explore") == exercise.lenses.end())
    throw UsageError(exercise.slug + " is not explored: it has no schedules to replay. ./learn check " + exercise.id +
                     " judges it.");
  // The same program explores the same schedules in the same order, so the exploration is the replay.
  Solution mine{Solution::Role::learner, exercise.learner_file(), ""};
  Verdict verdict = grade(session.workbook, exercise, mine, {"explore"});
  const LensVerdict& lens = verdict.lenses.front();
  for (const Failure& failure : lens.failures) {
    if (failure.timeline.rows.empty() || failure.timeline.token != token) continue;
    if (!html_file.empty()) {
      write_page(html_file, replay_page(failure, session.workbook.root));
      fmt::print("The schedule is in {}: open it in a browser. The arrow keys step through it.\n", html_file);
      return 1;
    }
    fmt::print("  {}  {}\n\n{}\n{}", session.style.bold(failure.test),
               session.style.red(std::string(name_of(failure.kind))),
               fold(failure.message, session.style.width, "    "), timeline_text(failure.timeline, session.style, 0));
    return 1;
  }
  if (lens.failures.empty()) {
    fmt::print("{} passes under explore now: there is no failing schedule to show.\n", exercise.slug);
    return 0;
  }
  fmt::print(
      "No schedule {} fails in {} any more: the file has changed since. ./learn check {} shows what fails now.\n",
      token, exercise.slug, exercise.id);
  return 1;
}

}  // namespace interleave
