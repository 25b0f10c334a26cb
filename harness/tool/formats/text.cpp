#include <fmt/format.h>

#include <algorithm>

#include "tool/formats/formats.hpp"

namespace interleave {

namespace {

// The lenses of all exercises, in the order in which they are first met.
std::vector<std::string> lenses_of(const GradeReport& report) {
  std::vector<std::string> names;
  for (const GradedExercise& exercise : report.exercises()) {
    for (const LensVerdict& lens : exercise.verdict.lenses) {
      if (std::find(names.begin(), names.end(), lens.lens) == names.end()) names.push_back(lens.lens);
    }
  }
  return names;
}

std::string padded(const std::string& shown, std::size_t length, std::size_t width) {
  return shown + std::string(width - std::min(length, width), ' ');
}

}  // namespace

std::string grade_table(const GradeReport& report, const Style& style) {
  std::vector<std::string> lenses = lenses_of(report);
  std::size_t width = 10;
  for (const GradedExercise& exercise : report.exercises()) width = std::max(width, exercise.name().size());

  std::string text = padded("", 0, width + 2);
  for (const std::string& lens : lenses) text += "  " + style.dim(lens);
  text += "  " + style.dim("score") + "\n";
  for (const GradedExercise& exercise : report.exercises()) {
    text += "  " + padded(exercise.name(), exercise.name().size(), width);
    for (const std::string& name : lenses) {
      const std::vector<LensVerdict>& all = exercise.verdict.lenses;
      auto lens = std::find_if(all.begin(), all.end(), [&](const LensVerdict& each) { return each.lens == name; });
      std::string mark = lens == all.end() ? " " : lens->passed ? style.pass() : style.fail();
      bool is_wide = lens != all.end() && lens->passed && !style.unicode;  // "ok"
      text += "  " + padded(mark, is_wide ? 2 : 1, name.size());
    }
    text += fmt::format("  {} of {}\n", short_number(report.in_weights(exercise.points)), exercise.weight);
  }
  text += style.bold(fmt::format("  Score {} of {}", short_number(report.in_weights(report.points())),
                                 short_number(report.in_weights(report.most_points())))) +
          "\n";
  if (!report.submission) return text;
  if (!report.submission->confined) {
    text += "  Not confined: this machine has no bubblewrap, or allows no user namespaces. Limits alone held.\n";
  }
  if (!report.submission->not_used.empty()) {
    std::string list;
    for (const std::string& name : report.submission->not_used) list += " " + on_one_line(name);
    text += fold("Changed outside of the exercises, and not used:" + list, style.width, "  ");
  }
  return text;
}

std::string as_text(const GradeReport& report) {
  std::string text = grade_table(report, Style{});
  for (const GradedExercise& exercise : report.exercises()) {
    text += "\n" + exercise.name() + "\n";
    for (const std::string& each : exercise.texts) text += each;
  }
  return text;
}

}  // namespace interleave
