#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "grader/stacks.hpp"
#include "grader/variables.hpp"
#include "grader/verdict.hpp"

namespace interleave {

/// Makes a timeline of what a test program says of a failing schedule: addresses become lines, objects get names.
class TimelineReader {
 public:
  /// `event` as harness/exercise/explored_interleavings.cpp sends it.
  TimelineReader(const nlohmann::json& event, const std::string& learner_file, const std::string& test_file);

  const Timeline& timeline() const { return timeline_; }
  /// The learner's line that the story ends at: of the last step, or of a thread that waits. Line 0 if there is none.
  Place last_learner_line() const { return last_learner_line_; }
  /// Of a data race: where the other access was made. Empty if there is nothing to say.
  std::string first_access() const { return first_access_; }

 private:
  struct Origin {
    Place place;
    bool framework = false;
  };
  std::optional<Place> place_of(const nlohmann::json& frames);
  std::size_t end_of_story(const nlohmann::json& steps);
  const Origin& origin_of(std::uint64_t pc);
  void name_the_objects(const nlohmann::json& steps);
  std::string given_name(std::uint64_t address, const std::map<int, const nlohmann::json*>& stacks, int thread);

  std::string program_, learner_file_, test_file_;
  std::uint64_t base_;  // where the program was loaded
  Symbolizer symbolizer_;
  Variables variables_;
  std::map<std::uint64_t, Origin> origins_;     // by program counter
  std::map<std::uint64_t, std::string> names_;  // of objects, by address, at the end of the schedule
  std::vector<std::string> names_of_steps_;     // of their objects: memory may be another object's later
  Timeline timeline_;
  Place last_learner_line_;
  std::string first_access_;
};

}  // namespace interleave
