#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "exercise/failure_kind.hpp"

namespace interleave {

/// One exercise, as exercise() in CMake declared it.
struct Exercise {
  std::string id;                         // "1.2"
  std::string slug;                       // "run-command"
  std::filesystem::path folder;           // absolute
  std::filesystem::path solutions;        // absolute
  std::vector<std::string> lenses;        // in the order in which they are shown
  std::vector<std::string> link_options;  // that the test support needs, whatever the lens
  std::vector<std::string> fuzz;          // the fuzz targets: programs, and tests of CTest; none without libFuzzer
  int time_limit = 20;                    // seconds, of one test

  std::string base() const;                    // "run_command"
  std::filesystem::path learner_file() const;  // the one file that the learner edits
  std::filesystem::path test_file() const;
  std::filesystem::path stub() const { return solutions / "stub.hpp"; }
  std::filesystem::path reference() const;
  std::string suite() const;  // "RunCommand": test suites are named after what they test
};

/// What must catch a wrong answer: the second line of its file.
struct Caught {
  std::string lens;
  std::string test;  // "RunCommand.ReadsBothStreams"
  FailureKind kind = FailureKind::wrong_answer;
};

/// A file that can stand where the learner's stands.
struct Solution {
  enum class Role { learner, stub, reference, right, wrong };
  Role role = Role::learner;
  std::filesystem::path file;
  std::string name;  // "joins-inside-the-loop" for a wrong answer

  /// The CMake target that is this solution under one lens.
  std::string target(const Exercise& exercise, const std::string& lens) const;
};

/// The checkout and its build tree.
struct Workbook {
  std::filesystem::path root;
  std::filesystem::path build;
  std::string compiler;
  std::vector<Exercise> exercises;

  /// Reads `directory`/manifest.json. Throws std::runtime_error with the next step if it is not there.
  static Workbook open(const std::filesystem::path& directory);

  std::filesystem::path program(const Exercise& exercise, const Solution& solution, const std::string& lens) const;
};

std::vector<Solution> solutions_of(const Exercise& exercise);
std::optional<Caught> caught_line_of(const std::filesystem::path& wrong_answer);

/// The sentence at the head of a solution's file, without comment marks.
std::string head_sentence_of(const std::filesystem::path& solution);

/// The exercise that `name` means: an id, a slug or a path in or to its folder. Nothing if there is none.
const Exercise* find_exercise(const Workbook& workbook, const std::string& name);
/// The id and slug that are most like a mistyped `name`.
const Exercise& nearest_exercise(const Workbook& workbook, const std::string& name);

}  // namespace interleave
