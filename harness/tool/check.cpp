#include <algorithm>
#include <cstdio>
#include <string>

#include "grader/grade.hpp"
#include "tool/commands.hpp"
#include "tool/verdict_text.hpp"

namespace interleave {

namespace {

void print_line(const nlohmann::json& json) {
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

int check(Session& session, const CheckOptions& options) {
  const Exercise& exercise = session.exercise(options.exercise);
  std::vector<std::string> lenses = exercise.lenses;
  if (!options.lens.empty()) {
    if (std::find(lenses.begin(), lenses.end(), options.lens) == lenses.end()) {
      std::string all;
      for (const std::string& lens : lenses) all += " " + lens;
      throw UsageError("Exercise " + exercise.slug + " is not graded under '" + options.lens +
                       "'. Its lenses are:" + all + ".");
    }
    lenses = {options.lens};
  }

  bool text = !options.json && !options.events;
  if (text) std::printf("%s\n", session.style.bold(exercise.id + " " + exercise.slug).c_str());
  Verdict verdict =
      grade(session.workbook, exercise, session.learner_solution(exercise), lenses, [&](const LensVerdict& lens) {
        if (options.events) print_line({{"event", "lens"}, {"lens", lens}});
        if (text) {
          std::fputs(lens_line(lens, session.style).c_str(), stdout);
          std::fflush(stdout);
        }
      });

  // Progress is a convenience: that it cannot be written must not hide the verdict.
  std::string warning;
  if (options.lens.empty()) {
    try {
      session.progress.set_passed(exercise.slug, verdict.passed());
    } catch (const std::runtime_error& error) {
      warning = error.what();
    }
  }
  if (options.events) print_line({{"event", "verdict"}, {"verdict", verdict}});
  if (options.json)
    std::printf("%s\n", nlohmann::json(verdict).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  if (text) {
    if (const Failure* failure = verdict.first_failure()) {
      std::printf(
          "\n%s",
          explanation(*verdict.first_failed_lens(), *failure, session.workbook.root.string(), session.style).c_str());
    }
  }
  if (!warning.empty()) std::fprintf(stderr, "learn: %s\n", warning.c_str());
  return verdict.passed() ? 0 : 1;
}

}  // namespace interleave
