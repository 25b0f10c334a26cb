#pragma once

#include <map>
#include <string>
#include <vector>

namespace interleave {

/// What the test process holds of the system's goods at one moment: what a test must give back.
struct Holdings {
  std::map<std::string, std::string> children;     // pid -> "running" or "zombie", with its command
  std::map<std::string, std::string> descriptors;  // number -> what it refers to
  std::map<std::string, std::string> threads;      // thread id -> name and state
  std::map<std::string, std::string> segments;     // name or id -> kind
  std::map<std::string, std::string> files;        // path under the scratch directories -> kind
};

/// Takes stock of this process. Reads /proc; costs about a tenth of a millisecond.
Holdings take_stock();

/// What is there now and was not before, one sentence each; empty if nothing. A thread that has been joined may need
/// a moment until the kernel forgets it, so threads that are on their way out are waited for.
std::vector<std::string> left_behind_since(const Holdings& before);

}  // namespace interleave
