#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace interleave {

/// How far the learner is with one exercise.
struct ExerciseProgress {
  bool passed = false;
  int hints = 0;  // how many of the three have been shown
};

/// The learner's progress: a small text file, a line per exercise, keyed by its name so that it survives exercises that
/// are added or renumbered. Written by rename, so that a kill at any instant leaves the old text or the new. Lines that
/// mean nothing are moved to a file beside it and reported, never lost.
class Progress {
 public:
  /// Reads `directory`/progress; a file that is not there is no progress.
  explicit Progress(std::filesystem::path directory);

  /// Reads the file again: another process may have written it.
  void reload() { read(); }

  ExerciseProgress of(const std::string& slug) const;
  bool knows(const std::string& slug) const { return exercises_.contains(slug); }
  std::string current() const { return current_; }

  /// Each reads the file again, changes one thing and writes it, under a lock: two tools at once lose nothing.
  /// Throws std::runtime_error with the next step if it cannot be written.
  void set_passed(const std::string& slug, bool passed);
  void set_hints(const std::string& slug, int hints);
  void set_current(const std::string& slug);

  /// What was set aside while reading, in a sentence; empty if nothing.
  const std::string& warning() const { return warning_; }

 private:
  template <typename Change>
  void change(Change change);
  void read();
  void write() const;

  std::filesystem::path directory_, file_;
  std::map<std::string, ExerciseProgress> exercises_;
  std::string current_;
  std::string warning_;
};

}  // namespace interleave
