#pragma once

#include <filesystem>
#include <string>

#include "grader/run_outcome.hpp"

namespace interleave {

/// A directory that exists for one run: the program's working directory and TMPDIR are in it, and so are the
/// sanitizers' reports. The destructor removes it whatever the program did to it.
class ScratchDirectory {
 public:
  /// Throws std::system_error (a full disk, a TMPDIR that cannot be written).
  ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory();

  std::filesystem::path work() const { return path_ / "work"; }
  std::filesystem::path temporary() const { return path_ / "work" / "tmp"; }
  std::filesystem::path reports() const { return path_ / "reports"; }

 private:
  std::filesystem::path path_;
};

/// Run in the child before it becomes the test program: resource limits, and, where the system allows it, IPC names and
/// /dev/shm of its own, so that two runs at once never see each other's segments. Async-signal-safe.
void enter_sandbox(const RunRequest& request);

/// Whether enter_sandbox() will get private IPC here. Tried once in a child process.
bool private_ipc_is_possible();

}  // namespace interleave
