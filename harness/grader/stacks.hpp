#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace interleave {

/// A place in the source, seen from a program counter. `file` is empty where there is no debug information.
struct Frame {
  std::string function;
  std::string file;
  int line = 0;
};

/// The stack of a thread that lives, innermost frame first, inlined calls as frames of their own. Stops the thread for
/// a moment (ptrace(2)), so the caller must be an ancestor that may trace it. Empty if it cannot be read.
std::vector<Frame> stack_of(pid_t process, pid_t thread);

/// Turns addresses in program files into source lines; remembers the files that it has opened. Not thread-safe.
class Symbolizer {
 public:
  Symbolizer();
  ~Symbolizer();
  /// `offset` as in "(program+0x1234)" of a sanitizer's report.
  std::vector<Frame> frames_at(const std::string& program, std::uint64_t offset);

 private:
  struct Files;
  std::unique_ptr<Files> files_;
};

}  // namespace interleave
