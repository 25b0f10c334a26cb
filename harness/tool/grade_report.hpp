#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "grader/verdict.hpp"
#include "grader/workbook.hpp"

namespace interleave {

/// One exercise of a report, fit to be written down anywhere: every text in it is valid UTF-8 of a bounded length
/// without control characters (but tabs and line breaks), and paths in it begin at the workbook's root.
struct GradedExercise {
  Verdict verdict;                 // without the raw reports of compiler and sanitizers
  std::vector<std::string> texts;  // for each lens: what came of it, and its first failure explained
  int weight = 1;
  int points = 0;
  int most_points = 0;

  std::string name() const { return verdict.exercise + " " + verdict.slug; }
  /// The learner's line to look at for a failure; line 0 if only the file is known.
  Place place_of(const Failure& failure) const;
};

/// A row of a gradebook: an exercise or, where each lens gives its share, one lens of it.
struct GradeRow {
  const GradedExercise* exercise = nullptr;
  std::string name;                        // "4.2 mutex", "4.2 mutex (explore)"
  std::vector<const LensVerdict*> lenses;  // that it stands for
  bool passed = false;
  int points = 0;
  int most_points = 0;
  std::string text;  // what there is to say

  double seconds() const;  // lenses are graded beside each other
  const Failure* first_failure() const;
};

/// What `learn grade` found. Everything that writes a grade reads this, and nothing else.
///
/// Points are whole, since some services count in nothing else: with part credit a weight of 1 is worth as many points
/// as make the share of each lens whole.
class GradeReport {
 public:
  /// `partial`: each lens gives its share; otherwise an exercise counts when all its lenses pass.
  GradeReport(const Workbook& workbook, bool partial);

  const GradedExercise& add(const Exercise& exercise, const Verdict& verdict);

  bool partial() const { return partial_; }
  const std::vector<GradedExercise>& exercises() const { return exercises_; }
  std::vector<GradeRow> rows() const;
  bool passed() const;
  double seconds() const;
  int points() const;
  int most_points() const;
  /// The same in weights: what a person reads.
  double in_weights(int points) const { return static_cast<double>(points) / points_of_weight_; }

  /// Of a submission: whether it was confined, and what was changed in it and not used.
  struct Submission {
    bool confined = false;
    std::vector<std::string> not_used;
  };
  std::optional<Submission> submission;
  std::map<std::string, std::string> service;  // the variables by which a service says whose submission this is
  std::string graded_at;                       // "2026-06-01T14:33:11Z", for a format that cannot do without

 private:
  std::filesystem::path root_;
  bool partial_;
  int points_of_weight_ = 1;
  std::vector<GradedExercise> exercises_;
};

/// "3", "2.5", "0.67".
std::string short_number(double number);

/// All on one line, so that it cannot be taken for a line of somebody else's.
std::string on_one_line(const std::string& text);

}  // namespace interleave
