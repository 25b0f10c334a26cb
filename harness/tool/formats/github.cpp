// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions

#include <fmt/format.h>

#include <algorithm>

#include "tool/formats/formats.hpp"

namespace interleave {

namespace {

// The value of a command ends with its line; a property of it, with a comma or a colon too.
std::string escaped(const std::string& text, std::string_view special) {
  std::string result;
  for (char c : text) {
    if (special.find(c) == std::string_view::npos) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}
std::string value(const std::string& text) { return escaped(text, "%\r\n"); }
std::string property(const std::string& text) { return escaped(text, "%\r\n:,"); }

std::string html(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '&' || c == '<' || c == '>') {
      result += fmt::format("&#{};", static_cast<int>(c));
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

std::string as_github_annotations(const GradeReport& report) {
  std::string text;
  for (const GradedExercise& exercise : report.exercises()) {
    const Failure* failure = exercise.verdict.first_failure();
    if (failure == nullptr) continue;
    Place place = exercise.place_of(*failure);
    std::string title =
        fmt::format("{}: {} ({})", exercise.name(), name_of(failure->kind), exercise.verdict.first_failed_lens()->lens);
    std::string message = failure->test.empty() ? failure->message : failure->test + "\n" + failure->message;
    for (const std::string& detail : failure->details) message += "\n" + detail;
    text += fmt::format("::error file={},line={},title={}::{}\n", property(place.file), std::max(place.line, 1),
                        property(title), value(message));
  }
  return text;
}

// Nothing that a learner chose stands outside of <pre>, where Markdown means nothing.
std::string as_github_summary(const GradeReport& report) {
  std::string text = fmt::format("## Score {} of {}\n\n| exercise | lenses | score |\n|---|---|---|\n",
                                 short_number(report.in_weights(report.points())),
                                 short_number(report.in_weights(report.most_points())));
  for (const GradedExercise& exercise : report.exercises()) {
    std::string lenses;
    for (const LensVerdict& lens : exercise.verdict.lenses) {
      lenses += (lenses.empty() ? "" : "<br>") + std::string(lens.passed ? "✅ " : "❌ ") + lens.lens;
      if (!lens.failures.empty()) lenses += ": " + std::string(name_of(lens.failures.front().kind));
      if (!lens.skipped.empty()) lenses += " (not all judged on this machine)";
    }
    text += fmt::format("| {} | {} | {} of {} |\n", exercise.name(), lenses,
                        short_number(report.in_weights(exercise.points)), exercise.weight);
  }
  for (const GradedExercise& exercise : report.exercises()) {
    // One lens of each, the one to mend first: a summary may have 1 MiB.
    const std::vector<LensVerdict>& lenses = exercise.verdict.lenses;
    auto lens = std::find_if(lenses.begin(), lenses.end(), [](auto& each) { return !each.passed; });
    if (lens == lenses.end())
      lens = std::find_if(lenses.begin(), lenses.end(), [](auto& each) { return !each.skipped.empty(); });
    if (lens == lenses.end()) continue;
    text += fmt::format("\n<details><summary>{} ({})</summary>\n\n<pre>\n{}</pre>\n\n</details>\n", exercise.name(),
                        lens->lens, html(exercise.texts[static_cast<std::size_t>(lens - lenses.begin())]));
  }
  return text;
}

}  // namespace interleave
