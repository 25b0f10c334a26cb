#include "grader/verdict.hpp"

#include <algorithm>

namespace interleave {

bool Verdict::passed() const {
  return !lenses.empty() && std::all_of(lenses.begin(), lenses.end(), [](auto& lens) { return lens.passed; });
}

const LensVerdict* Verdict::first_failed_lens() const {
  auto lens = std::find_if(lenses.begin(), lenses.end(), [](auto& each) { return !each.passed; });
  return lens == lenses.end() ? nullptr : &*lens;
}

const Failure* Verdict::first_failure() const {
  const LensVerdict* lens = first_failed_lens();
  return lens == nullptr || lens->failures.empty() ? nullptr : &lens->failures.front();
}

void to_json(nlohmann::json& json, FailureKind kind) { json = name_of(kind); }

void from_json(const nlohmann::json& json, FailureKind& kind) {
  kind = failure_kind_from(json.get<std::string>()).value_or(FailureKind::wrong_answer);
}

void to_json(nlohmann::json& json, const Verdict& verdict) {
  json = {{"exercise", verdict.exercise},
          {"slug", verdict.slug},
          {"solution", verdict.solution},
          {"passed", verdict.passed()},
          {"lenses", verdict.lenses}};
}

void from_json(const nlohmann::json& json, Verdict& verdict) {
  json.at("exercise").get_to(verdict.exercise);
  json.at("slug").get_to(verdict.slug);
  json.at("solution").get_to(verdict.solution);
  json.at("lenses").get_to(verdict.lenses);
}

}  // namespace interleave
