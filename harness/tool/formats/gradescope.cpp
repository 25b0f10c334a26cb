#include <nlohmann/json.hpp>

#include "tool/formats/formats.hpp"

namespace interleave {

// https://gradescope-autograders.readthedocs.io/en/latest/specs/
std::string as_gradescope(const GradeReport& report) {
  nlohmann::json tests = nlohmann::json::array();
  for (const GradeRow& row : report.rows()) {
    tests.push_back({{"name", row.name},
                     {"status", row.passed ? "passed" : "failed"},
                     {"score", report.in_weights(row.points)},
                     {"max_score", report.in_weights(row.most_points)},
                     {"output", row.text},
                     {"output_format", "text"}});
  }
  nlohmann::json json = {
      {"score", report.in_weights(report.points())}, {"execution_time", report.seconds()}, {"tests", std::move(tests)}};
  return json.dump(2) + "\n";
}

}  // namespace interleave
