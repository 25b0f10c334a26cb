#include <nlohmann/json.hpp>

#include "tool/formats/formats.hpp"

namespace interleave {

// What stands here is described in docs/grade.schema.json.
std::string as_json(const GradeReport& report) {
  nlohmann::json exercises = nlohmann::json::array();
  for (const GradedExercise& exercise : report.exercises()) {
    nlohmann::json entry = exercise.verdict;
    entry["weight"] = exercise.weight;
    entry["score"] = report.in_weights(exercise.points);
    for (nlohmann::json& lens : entry["lenses"]) {
      for (nlohmann::json& failure : lens["failures"]) {
        failure.erase("raw");
        if (failure["timeline"]["rows"].empty()) failure.erase("timeline");
      }
    }
    exercises.push_back(std::move(entry));
  }
  nlohmann::json json = {{"version", 1},
                         {"passed", report.passed()},
                         {"partial", report.partial()},
                         {"score", report.in_weights(report.points())},
                         {"max_score", report.in_weights(report.most_points())},
                         {"exercises", std::move(exercises)}};
  if (report.submission)
    json["submission"] = {{"confined", report.submission->confined}, {"not_used", report.submission->not_used}};
  return json.dump(2) + "\n";
}

}  // namespace interleave
