#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "grader/workbook.hpp"

namespace interleave {

/// What became of a build.
struct BuildResult {
  std::set<std::string> failed;  // of the targets that were asked for
  std::string output;            // what the build printed
};

/// Builds `targets` with Ninja, all that can be, and calls `on_built` for each as soon as its program is linked. Only
/// one build of a tree runs at a time, so that two learners' tools do not get in each other's way. Throws
/// std::runtime_error with the next step when the build itself cannot work (a full or read-only disk).
BuildResult build(const Workbook& workbook, const std::vector<std::string>& targets,
                  const std::function<void(const std::string& target)>& on_built = {});

/// The part of a build's output that belongs to one target.
std::string output_of_target(const std::string& output, const std::string& target);

}  // namespace interleave
