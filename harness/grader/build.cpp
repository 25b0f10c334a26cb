#include "grader/build.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>

#include "grader/process.hpp"

namespace interleave {

namespace {

// Held while Ninja runs: it does not expect another one in the same tree.
class BuildLock {
 public:
  explicit BuildLock(const std::filesystem::path& build) {
    descriptor_ = ::open((build / ".interleave.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      throw std::runtime_error("Cannot write in the build tree " + build.string() + ": " + strerror(errno) +
                               ". Make room or choose another place with INTERLEAVE_BUILD=<directory> ./learn.");
    }
    while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  BuildLock(const BuildLock&) = delete;
  BuildLock& operator=(const BuildLock&) = delete;
  ~BuildLock() { ::close(descriptor_); }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// Whether a line of Ninja's speaks of a target: of its object files or of its program.
bool speaks_of(const std::string& line, const std::string& target) {
  // What is compiled once for two lenses.
  std::string compiled = target.substr(0, target.rfind('.')) + ".instrumented";
  bool shared = target.ends_with(".tsan") || target.ends_with(".explore");
  if (shared && line.find("/" + compiled + ".dir/") != std::string::npos) return true;
  return line.find("/" + target + ".dir/") != std::string::npos || line.ends_with("/" + target) ||
         line.find("/" + target + " ") != std::string::npos;
}

// Which file stands where a target's program is linked to: another one after each link that succeeded.
struct FileIdentity {
  ino_t inode = 0;
  std::int64_t seconds = 0, nanoseconds = 0;
  bool operator==(const FileIdentity&) const = default;
};

FileIdentity identity_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  return {status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

}  // namespace

BuildResult build(const Workbook& workbook, const std::vector<std::string>& targets,
                  const std::function<void(const std::string& target)>& on_built) {
  BuildLock lock(workbook.build);
  Command command;
  command.arguments = {"ninja", "-C", workbook.build.string(), "-k", "0"};
  command.arguments.insert(command.arguments.end(), targets.begin(), targets.end());
  command.more_environment = {{"NINJA_STATUS", "[%f/%t] "}};
  command.own_group = false;           // it ends with the grader that started it
  command.keep = {lock.descriptor()};  // and the lock with whichever of the two lives longer

  auto program_of = [&](const std::string& target) {
    return workbook.build / "programs" / target.substr(0, target.find('.')) / target;
  };
  std::map<std::string, FileIdentity> before;
  for (const std::string& target : targets) before[target] = identity_of(program_of(target));

  std::set<std::string> reported;
  auto report = [&](const std::string& target) {
    if (reported.insert(target).second && on_built) on_built(target);
  };
  Captured captured = run_and_capture(command, [&](const std::string& line) {
    if (line.find("] Linking CXX executable ") == std::string::npos) return;
    for (const std::string& target : targets) {
      // Ninja says this of a link that failed, too; then the program is the one of an earlier build.
      if (!line.ends_with("/" + target)) continue;
      FileIdentity now = identity_of(program_of(target));
      if (now != FileIdentity{} && now != before[target]) report(target);
    }
  });

  BuildResult result{{}, captured.text};
  if (!captured.ending.succeeded()) {
    std::istringstream stream(captured.text);
    for (std::string line; std::getline(stream, line);) {
      if (!line.starts_with("FAILED: ")) continue;
      for (const std::string& target : targets) {
        if (speaks_of(line, target)) result.failed.insert(target);
      }
    }
    if (result.failed.empty()) {
      if (captured.text.find("No space left") != std::string::npos) {
        throw std::runtime_error("The disk is full: the build in " + workbook.build.string() +
                                 " could not be written. Make room and save again.");
      }
      throw std::runtime_error("The build could not run:\n" + captured.text + "\nTry ./learn doctor.");
    }
  }
  for (const std::string& target : targets) {
    if (!result.failed.contains(target)) report(target);
  }
  return result;
}

std::string output_of_target(const std::string& output, const std::string& target) {
  std::string part;
  std::istringstream stream(output);
  bool inside = false;
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("FAILED: ")) {
      inside = speaks_of(line, target);
    } else if (line.starts_with("[") || line.starts_with("ninja: ")) {
      inside = false;
    } else if (inside) {
      part += line + "\n";
    }
  }
  return part;
}

}  // namespace interleave
