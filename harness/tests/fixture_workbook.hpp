#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "grader/process.hpp"

namespace interleave {

/// A test that works on the small workbook in the build tree, with the stub in place and no progress.
class FixtureWorkbook : public ::testing::Test {
 protected:
  static constexpr const char* right_answer =
      "#pragma once\ninline int answer() { return 42; }\ninline bool is_answer(int value) { return value == 42; }\n";

  explicit FixtureWorkbook(const std::string& exercise = "01-answer", const std::string& name = "answer")
      : folder(exercise), file(root / "chapters/01-fixture" / folder / (name + ".hpp")) {
    start_afresh();
  }
  ~FixtureWorkbook() override { start_afresh(); }

  void start_afresh() {
    std::error_code ignored;
    std::filesystem::remove_all(root / ".learn", ignored);
    std::filesystem::remove_all(file, ignored);
    for (const auto& entry : std::filesystem::directory_iterator(file.parent_path())) {
      if (entry.path().extension() == ".bak") std::filesystem::remove(entry.path(), ignored);
    }
    std::filesystem::copy_file(root / "solutions/01-fixture" / folder / "stub.hpp", file,
                               std::filesystem::copy_options::overwrite_existing);
  }

  void save(const std::string& text) const { std::ofstream(file) << text; }
  void save_by_rename(const std::string& text) const {
    std::filesystem::path other = file.string() + "~";
    std::ofstream(other) << text;
    std::filesystem::rename(other, file);
  }

  /// Runs the tool without a terminal.
  Captured learn(std::vector<std::string> arguments, std::map<std::string, std::string> environment = {}) const {
    Command command;
    command.arguments = {program};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    command.more_environment = std::move(environment);
    command.more_environment["INTERLEAVE_WORKBOOK"] = root.string();
    command.more_environment.try_emplace("LANG", "C.UTF-8");
    command.more_environment.try_emplace("LC_ALL", "");
    return run_and_capture(command);
  }

  /// What a command printed, with every run of white space as one space: texts are folded to the window.
  std::string said(std::vector<std::string> arguments) const {
    return std::regex_replace(learn(std::move(arguments)).text, std::regex("\\s+"), " ");
  }

  const std::filesystem::path root = INTERLEAVE_FIXTURE;
  const std::string folder;
  const std::filesystem::path file;
  const std::string program = INTERLEAVE_LEARN;
};

}  // namespace interleave
