#include "grader/proof.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "grader/sandbox.hpp"

namespace interleave {

namespace {

std::string summary(const Failure& failure) {
  std::string text = std::string(name_of(failure.kind)) + " in " + (failure.test.empty() ? "no test" : failure.test) +
                     ": " + failure.message;
  for (const std::string& detail : failure.details) text += "\n    " + detail;
  return text;
}

const std::string* reason_to_skip(const LensVerdict& verdict, const std::string& test) {
  for (const Skipped& skipped : verdict.skipped) {
    if (skipped.test == test) return &skipped.reason;
  }
  return nullptr;
}

std::string complaint_about_stub(const LensVerdict& verdict, const Solution& solution) {
  std::map<std::string, const Failure*> first;
  for (const Failure& failure : verdict.failures) first.try_emplace(failure.test, &failure);
  if (verdict.tests.empty())
    return verdict.failures.empty() ? "the stub ran no test" : summary(verdict.failures.front());
  bool ended_by_not_done = !verdict.failures.empty() && verdict.failures.back().kind == FailureKind::not_done;
  for (const std::string& test : verdict.tests) {
    if (reason_to_skip(verdict, test)) continue;
    if (auto it = first.find(test); it == first.end()) {
      bool not_reached =
          std::find(verdict.not_reported.begin(), verdict.not_reported.end(), test) != verdict.not_reported.end();
      if (!not_reached || !ended_by_not_done) return "the stub passes " + test + "; it must fail every test";
    } else if (it->second->kind != FailureKind::not_done) {
      return "the stub must fail with 'not done', but: " + summary(*it->second);
    } else if (it->second->learner.file != solution.file.string() || it->second->learner.line == 0) {
      return "the stub's failure in " + test + " does not point to a line of the stub";
    }
  }
  return "";
}

}  // namespace

std::vector<std::string> lenses_of_proof(const Exercise& exercise, const Solution& solution) {
  if (solution.role != Solution::Role::wrong) return exercise.lenses;
  auto caught = caught_line_of(solution.file);
  return caught ? std::vector<std::string>{caught->lens} : std::vector<std::string>{};
}

std::string missing_here(const Solution& solution) {
  const std::string need = "private IPC";
  std::ifstream file(solution.file);
  for (std::string line; std::getline(file, line) && line.starts_with("//");) {
    if (line != "// needs: " + need) continue;
    static const bool possible = private_ipc_is_possible();
    return possible ? "" : need;
  }
  return "";
}

std::string not_judged_here(const LensVerdict& verdict, const Solution& solution) {
  auto caught = solution.role == Solution::Role::wrong ? caught_line_of(solution.file) : std::nullopt;
  if (!caught || (!verdict.failures.empty() && verdict.failures.front().test == caught->test)) return "";
  const std::string* reason = reason_to_skip(verdict, caught->test);
  return reason == nullptr ? "" : caught->test + " was skipped: " + *reason;
}

std::string complaint_about(const LensVerdict& verdict, const Exercise& exercise, const Solution& solution) {
  (void)exercise;
  switch (solution.role) {
    case Solution::Role::stub:
      return complaint_about_stub(verdict, solution);
    case Solution::Role::wrong: {
      auto caught = caught_line_of(solution.file);
      if (!caught) return "needs a line '// caught: <lens>, <Suite.Test>, <kind>'";
      if (verdict.passed) return "passes, but must be caught by " + caught->test;
      const Failure& first = verdict.failures.front();
      if (first.test == caught->test && first.kind == caught->kind) return "";
      return "must be caught as " + std::string(name_of(caught->kind)) + " in " + caught->test +
             ", but the first failure is " + summary(first);
    }
    default:
      return verdict.passed ? "" : "must pass, but: " + summary(verdict.failures.front());
  }
}

std::vector<std::string> tests_without_a_mistake(const Exercise& exercise, const std::vector<std::string>& all) {
  std::set<std::string> used;
  for (const Solution& solution : solutions_of(exercise)) {
    if (solution.role != Solution::Role::wrong) continue;
    if (auto caught = caught_line_of(solution.file)) used.insert(caught->test);
  }
  std::vector<std::string> unused;
  for (const std::string& test : all) {
    if (!used.contains(test)) unused.push_back(test);
  }
  return unused;
}

}  // namespace interleave
