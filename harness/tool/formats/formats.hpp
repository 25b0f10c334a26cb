#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tool/grade_report.hpp"
#include "tool/terminal.hpp"

namespace interleave {

/// A way to write a grade down. Each is a file of its own here, and a line in the table.
struct Format {
  std::string_view name;
  std::string_view what;  // a few words for the help
  std::string (*text)(const GradeReport&);
  /// Where it goes when no file is named: to the end of the file that this variable names; standard output if empty.
  std::string_view file_variable = "";
  /// Lines for standard output beside it.
  std::string (*annotations)(const GradeReport&) = nullptr;
  /// The variables of the environment, set by the service, that it hands back.
  std::vector<std::string> variables = {};
};
const std::vector<Format>& formats();

std::string as_text(const GradeReport& report);
std::string as_json(const GradeReport& report);
std::string as_junit(const GradeReport& report);
std::string as_github_summary(const GradeReport& report);
std::string as_github_annotations(const GradeReport& report);
std::string as_gradescope(const GradeReport& report);
std::string as_classroom50(const GradeReport& report);
std::string as_classroom(const GradeReport& report);

/// The table that ends a grading, with the score below it.
std::string grade_table(const GradeReport& report, const Style& style);

}  // namespace interleave
