#include <cmath>
#include <nlohmann/json.hpp>

#include "tool/formats/formats.hpp"

namespace interleave {

namespace {

// RFC 4648
std::string base64(const std::string& bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t j = i; j < i + 3; ++j)
      group = group << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0u);
    for (int digit = 0; digit < 4; ++digit) {
      bool padding = i + static_cast<std::size_t>(digit) > bytes.size();
      text += padding ? '=' : digits[group >> (18 - 6 * digit) & 63u];
    }
  }
  return text;
}

}  // namespace

// What a runner hands to the reporter of GitHub Classroom:
// https://github.com/classroom-resources/autograding-grading-reporter (src/main.js reads it, src/notify-classroom.js
// adds the scores up), https://github.com/classroom-resources/autograding-command-grader (src/main.js writes it)
std::string as_classroom(const GradeReport& report) {
  nlohmann::json tests = nlohmann::json::array();
  for (const GradeRow& row : report.rows()) {
    const Failure* failure = row.first_failure();
    Place place = failure != nullptr ? row.exercise->place_of(*failure) : Place{row.exercise->verdict.solution, 0};
    tests.push_back({{"name", row.name},
                     {"status", row.passed ? "pass" : "fail"},
                     {"score", row.points},
                     {"message", row.text},
                     {"test_code", "./learn check " + row.exercise->verdict.exercise},
                     {"filename", place.file},
                     {"line_no", place.line},
                     {"duration", std::lround(row.seconds() * 1000)}});  // milliseconds
  }
  nlohmann::json json = {{"version", 1},
                         {"status", report.passed() ? "pass" : "fail"},
                         {"max_score", report.most_points()},
                         {"tests", std::move(tests)}};
  return base64(json.dump()) + "\n";
}

}  // namespace interleave
