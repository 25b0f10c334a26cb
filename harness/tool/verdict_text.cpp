#include "tool/verdict_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "tool/timeline_text.hpp"

namespace interleave {

namespace {

constexpr std::size_t details_shown = 12;
constexpr std::size_t timeline_rows_shown = 24;
constexpr std::size_t output_shown = 600;  // bytes

std::string shorter(const std::string& path, const std::string& root) {
  return path.starts_with(root + "/") ? path.substr(root.size() + 1) : path;
}

std::string shown(const Place& place, const std::string& root) {
  return shorter(place.file, root) + (place.line > 0 ? ":" + std::to_string(place.line) : "");
}

std::string source_line(const Place& place) {
  std::ifstream file(place.file);
  std::string line;
  for (int i = 0; i < place.line; ++i) {
    if (!std::getline(file, line)) return "";
  }
  auto begin = line.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : line.substr(begin);
}

// What the explorations of a lens can promise together.
std::string claim_of(const std::vector<Explored>& explored) {
  std::uint64_t schedules = 0, within = 0;
  int bound = explored.front().complete_bound;
  for (const Explored& each : explored) {
    schedules += each.schedules;
    within += each.within_bound;
    bound = std::min(bound, each.complete_bound);
  }
  if (bound < 0) return fmt::format("no failure in {} schedules", schedules);
  return fmt::format("every schedule with at most {} preemption{} ({} seen), {} in all", bound, bound == 1 ? "" : "s",
                     within, schedules);
}

// A test may do without more than one thing.
std::size_t skipped_tests(const LensVerdict& lens) {
  std::set<std::string> tests;
  for (const Skipped& skipped : lens.skipped) tests.insert(skipped.test);
  return tests.size();
}

}  // namespace

std::string lens_line(const LensVerdict& lens, const Style& style) {
  std::string result;
  if (lens.passed) {
    std::size_t run = lens.tests.size() - skipped_tests(lens);
    result = fmt::format("{} all {} tests pass", style.pass(), run);
    if (run < lens.tests.size()) result += " that this machine can run";
  } else if (lens.tests.empty()) {
    result = fmt::format("{} {}", style.fail(), lens.failures.empty() ? "failed" : name_of(lens.failures.front().kind));
  } else {
    std::set<std::string> failed(lens.not_reported.begin(), lens.not_reported.end());
    for (const Failure& failure : lens.failures) failed.insert(failure.test);
    failed.erase("");
    std::size_t passed = lens.tests.size() - std::min(failed.size(), lens.tests.size());
    result = fmt::format("{} {} of {} tests pass, first: {}", style.fail(), passed, lens.tests.size(),
                         name_of(lens.failures.front().kind));
  }
  if (lens.passed && !lens.explored.empty()) result += ": " + claim_of(lens.explored);
  std::string time = fmt::format("{:.2f} s", lens.build_seconds + lens.run_seconds);
  std::string text = fmt::format("  {:<8}{}  {}\n", lens.lens, result, style.dim(time));
  std::map<std::string, std::string> tests_by_reason;
  for (const Skipped& skipped : lens.skipped) tests_by_reason[skipped.reason] += " " + skipped.test;
  for (const auto& [reason, tests] : tests_by_reason) {
    text += style.dim(fold(fmt::format("not judged here{}{}:{}", reason.empty() ? "" : ", ", reason, tests), style.width,
                           "            "));
  }
  return text;
}

std::string explanation(const LensVerdict& lens, const Failure& failure, const std::string& root, const Style& style) {
  std::string title = failure.test.empty() ? "" : failure.test + "  ";
  std::string text = "  " + style.bold(title) + style.red(std::string(name_of(failure.kind))) +
                     style.dim(" (" + lens.lens + ")") + "\n\n";
  text += fold(failure.message, style.width, "    ");
  if (!failure.details.empty()) text += "\n";
  for (std::size_t i = 0; i < std::min(details_shown, failure.details.size()); ++i) {
    std::string detail = failure.details[i];
    for (auto at = detail.find(root + "/"); at != std::string::npos; at = detail.find(root + "/"))
      detail.erase(at, root.size() + 1);
    text += failure.kind == FailureKind::does_not_compile ? "    " + detail + "\n" : fold(detail, style.width, "    ");
  }
  if (failure.details.size() > details_shown) {
    text += style.dim(fmt::format("    ({} more lines in the raw report)\n", failure.details.size() - details_shown));
  }
  if (const Timeline& timeline = failure.timeline; !timeline.rows.empty()) {
    text += "\n" + timeline_text(timeline, style, timeline_rows_shown) + "\n";
    text += style.dim(fold(fmt::format("schedule {}, found by {}; ./learn replay {} shows it whole", timeline.schedule,
                                       timeline.strategy, timeline.token),
                           style.width, "    "));
  }
  text += "\n";
  if (!failure.learner.file.empty()) {
    text += "    look at  " + style.bold(shown(failure.learner, root)) + "\n";
    if (std::string line = source_line(failure.learner); !line.empty())
      text += style.dim("             " + line) + "\n";
  }
  if (!failure.place.file.empty() && failure.place.file != failure.learner.file) {
    text += "    test at  " + shown(failure.place, root) + "\n";
  }
  if (!lens.not_reported.empty() && lens.not_reported.size() < lens.tests.size()) {
    text += style.dim(fmt::format("    {} {} not come to an end\n", lens.not_reported.size(),
                                  lens.not_reported.size() == 1 ? "test did" : "tests did"));
  }
  if (!lens.output.empty()) {
    text += "\n" + style.dim("  The program printed:") + "\n" +
            fold(lens.output.substr(0, output_shown), style.width, "    ");
    if (lens.output.size() > output_shown) text += style.dim("    (more in the raw report)") + "\n";
  }
  return text;
}

std::string raw_report(const Verdict& verdict) {
  std::string text;
  for (const LensVerdict& lens : verdict.lenses) {
    for (const Failure& failure : lens.failures) {
      text += fmt::format("== {}: {} {}\n{}\n", lens.lens, failure.test, name_of(failure.kind), failure.message);
      for (const std::string& detail : failure.details) text += "  " + detail + "\n";
      if (!failure.place.file.empty())
        text += "  at " + failure.place.file + ":" + std::to_string(failure.place.line) + "\n";
      if (!failure.raw.empty()) text += "\n" + failure.raw + "\n";
    }
    if (!lens.output.empty()) text += fmt::format("== {}: the program printed\n{}\n", lens.lens, lens.output);
  }
  return text.empty() ? "Nothing failed.\n" : text;
}

std::string verdict_text(const Verdict& verdict, const std::string& root, const Style& style) {
  std::string text;
  for (const LensVerdict& lens : verdict.lenses) text += lens_line(lens, style);
  if (const Failure* failure = verdict.first_failure()) {
    text += "\n" + explanation(*verdict.first_failed_lens(), *failure, root, style);
  }
  return text;
}

}  // namespace interleave
