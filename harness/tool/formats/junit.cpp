#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>
#include <sstream>

#include "tool/formats/formats.hpp"

namespace interleave {

namespace {

void set(pugi::xml_node node, const char* name, const std::string& value) {
  node.append_attribute(name).set_value(value.c_str());
}

// A suite for each lens of an exercise. What failed and belongs to no test is a case of its own: "the program".
struct Suite {
  const LensVerdict& lens;
  std::vector<std::string> cases = {};
  int failures = 0, skipped = 0;

  explicit Suite(const LensVerdict& verdict) : lens(verdict), cases(verdict.tests) {
    for (const Failure& failure : lens.failures) {
      std::string name = name_of_case(failure);
      if (std::find(cases.begin(), cases.end(), name) == cases.end()) cases.push_back(name);
    }
  }

  static std::string name_of_case(const Failure& failure) {
    return failure.test.empty() ? "the program" : failure.test;
  }

  void add_case(pugi::xml_node suite, const std::string& name, const std::string& class_name) {
    pugi::xml_node test = suite.append_child("testcase");
    set(test, "name", name);
    set(test, "classname", class_name);
    bool failed = false;
    for (const Failure& failure : lens.failures) {
      if (name_of_case(failure) != name) continue;
      failed = true;
      pugi::xml_node child = test.append_child("failure");
      set(child, "type", std::string(interleave::name_of(failure.kind)));
      set(child, "message", failure.message);
      std::string text = failure.message + "\n";
      for (const std::string& detail : failure.details) text += detail + "\n";
      for (const Place& place : {failure.learner, failure.place}) {
        if (!place.file.empty()) text += fmt::format("at {}:{}\n", place.file, place.line);
      }
      child.text().set(text.c_str());
    }
    if (!failed && std::find(lens.not_reported.begin(), lens.not_reported.end(), name) != lens.not_reported.end()) {
      failed = true;
      set(test.append_child("failure"), "message", "it did not come to an end");
    }
    std::string reasons;
    for (const Skipped& each : lens.skipped) {
      if (each.test == name) reasons += (reasons.empty() ? "" : "; ") + each.reason;
    }
    bool has_reason =
        std::any_of(lens.skipped.begin(), lens.skipped.end(), [&](auto& each) { return each.test == name; });
    if (has_reason && !failed)
      test.append_child("skipped").text().set(("not judged on this machine: " + reasons).c_str());
    failures += failed;
    skipped += has_reason && !failed;
  }
};

}  // namespace

std::string as_junit(const GradeReport& report) {
  pugi::xml_document document;
  pugi::xml_node declaration = document.append_child(pugi::node_declaration);
  set(declaration, "version", "1.0");
  set(declaration, "encoding", "UTF-8");
  pugi::xml_node root = document.append_child("testsuites");
  int tests = 0, failures = 0;
  for (const GradedExercise& exercise : report.exercises()) {
    for (const LensVerdict& lens : exercise.verdict.lenses) {
      pugi::xml_node node = root.append_child("testsuite");
      set(node, "name", exercise.name() + " (" + lens.lens + ")");
      Suite suite(lens);
      for (const std::string& name : suite.cases) suite.add_case(node, name, exercise.verdict.slug + "." + lens.lens);
      set(node, "tests", std::to_string(suite.cases.size()));
      set(node, "failures", std::to_string(suite.failures));
      set(node, "errors", "0");
      set(node, "skipped", std::to_string(suite.skipped));
      set(node, "time", fmt::format("{:.3f}", lens.build_seconds + lens.run_seconds));
      if (!lens.output.empty()) node.append_child("system-out").text().set(lens.output.c_str());
      tests += static_cast<int>(suite.cases.size());
      failures += suite.failures;
    }
  }
  set(root, "name", "interleave");
  set(root, "tests", std::to_string(tests));
  set(root, "failures", std::to_string(failures));
  set(root, "errors", "0");
  std::ostringstream stream;
  document.save(stream, "  ", pugi::format_default, pugi::encoding_utf8);
  return stream.str();
}

}  // namespace interleave
