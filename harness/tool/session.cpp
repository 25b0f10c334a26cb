#include "tool/session.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace interleave {

namespace fs = std::filesystem;

namespace {

std::string language_of_environment() {
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return std::string(value).starts_with("ko") ? "ko" : "en";
  }
  return "en";
}

// Progress belongs to the checkout; where that cannot be written, to the build tree.
fs::path progress_directory(const Workbook& workbook) {
  fs::path directory = workbook.root / ".learn";
  std::error_code error;
  fs::create_directories(directory, error);
  return ::access(directory.c_str(), W_OK) == 0 ? directory : workbook.build / ".learn";
}

}  // namespace

Session Session::open(const std::string& language) {
  // This program is <build>/bin/learn. The harness's tests work on a small workbook of their own.
  const char* other = std::getenv("INTERLEAVE_WORKBOOK");
  fs::path directory =
      other != nullptr ? fs::path(other) : fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  Workbook workbook = Workbook::open(directory);
  Progress progress(progress_directory(workbook));
  if (!progress.warning().empty()) std::fprintf(stderr, "learn: %s\n", progress.warning().c_str());
  return {std::move(workbook), std::move(progress), language.empty() ? language_of_environment() : language,
          Style::of(STDOUT_FILENO)};
}

const Exercise& Session::exercise(const std::string& name) const {
  if (name.empty()) return current();
  if (const Exercise* found = find_exercise(workbook, name)) return *found;
  const Exercise& nearest = nearest_exercise(workbook, name);
  throw UsageError("There is no exercise '" + name + "'. Did you mean " + nearest.id + " " + nearest.slug +
                   "? ./learn list shows all.");
}

const Exercise& Session::current() const {
  if (const Exercise* chosen = find_exercise(workbook, progress.current()); chosen != nullptr) return *chosen;
  for (const Exercise& exercise : workbook.exercises) {
    if (!progress.of(exercise.slug).passed) return exercise;
  }
  return workbook.exercises.back();
}

}  // namespace interleave
