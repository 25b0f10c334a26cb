#pragma once

#include "grader/run_outcome.hpp"

namespace interleave {

/// Runs one test program and owns the process tree that grows from it: this process becomes the sub-reaper, so nothing
/// can escape by losing its parent, and when supervise() returns no descendant of this process is left.
///
/// Needs a process of its own (harness/grader/supervisor_main.cpp). Throws std::system_error.
RunOutcome supervise(const RunRequest& request);

}  // namespace interleave
