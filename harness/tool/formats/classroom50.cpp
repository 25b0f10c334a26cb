#include <nlohmann/json.hpp>

#include "tool/formats/formats.hpp"

namespace interleave {

// "The result.json contract": https://github.com/foundation50/classroom50/wiki/Advanced-Autograding
// Its runner sets the variables, and overwrites whose submission it is and when it came.
std::string as_classroom50(const GradeReport& report) {
  nlohmann::json tests = nlohmann::json::array();
  for (const GradeRow& row : report.rows()) {
    tests.push_back({{"test-name", row.name},
                     {"passed", row.passed},
                     {"score", row.points},
                     {"max-score", row.most_points},
                     {"output", row.text}});
  }
  auto given = [&](const char* variable) { return report.service.at(variable); };
  nlohmann::json json = {{"schema", "classroom50/result/v1"}, {"classroom", given("CLASSROOM")},
                         {"assignment", given("ASSIGNMENT")}, {"assignment_type", given("ASSIGNMENT_TYPE")},
                         {"owner", given("OWNER")},           {"submission", given("SUBMISSION_TAG")},
                         {"commit", given("COMMIT_URL")},     {"release", given("RELEASE_URL")},
                         {"review", given("REVIEW_URL")},     {"datetime", report.graded_at},
                         {"score", report.points()},          {"max-score", report.most_points()},
                         {"tests", std::move(tests)}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace interleave
