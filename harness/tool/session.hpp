#pragma once

#include <stdexcept>
#include <string>

#include "grader/workbook.hpp"
#include "tool/progress.hpp"
#include "tool/terminal.hpp"

namespace interleave {

/// What a person did wrong, in one sentence with the next step: printed as it is, exit status 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What every command works with.
struct Session {
  Workbook workbook;
  Progress progress;
  std::string language;  // "en" or "ko"
  Style style;

  /// Opens the workbook that this program was built in. `language` empty: by LC_ALL, LC_MESSAGES, LANG.
  static Session open(const std::string& language);

  /// The exercise that `name` means; empty: the current one. Throws UsageError with the nearest match.
  const Exercise& exercise(const std::string& name) const;

  /// The one to work on: what was chosen last, else the first that is not passed, else the last.
  const Exercise& current() const;

  Solution learner_solution(const Exercise& exercise) const {
    return {Solution::Role::learner, exercise.learner_file(), ""};
  }
};

}  // namespace interleave
