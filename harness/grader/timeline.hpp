#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "grader/stacks.hpp"
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
  Place place_of(const nlohmann::json& frames);
  std::string name_of_object(std::uint64_t address, const std::string& operation);

  std::string program_, learner_file_, test_file_;
  Symbolizer symbolizer_;
  std::map<std::uint64_t, Place> places_;  // by the innermost frame, which most steps share with others
  std::map<std::uint64_t, std::string> sorts_, names_;
  std::map<std::string, int> counts_;
  Timeline timeline_;
  Place last_learner_line_;
  std::string first_access_;
};

}  // namespace interleave
