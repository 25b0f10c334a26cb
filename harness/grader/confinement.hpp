#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace interleave {

/// A place from which a program that nobody trusts sees the system and what it is given, to read, and a file system of
/// its own in memory, to write. It has no network but its own loopback, and processes, IPC names and mounts of its own,
/// all of which end with it. Made by bubblewrap (bwrap(1)), where user namespaces are allowed. Root would be free of the
/// kernel's limits: for root it is entered as the user that owns nothing, for whom what is shown must be readable.
class Confinement {
 public:
  /// Whether this machine can confine. Tried once.
  static bool is_possible();

  /// Files and folders that can be read inside, each at its own path. What does not exist is left out.
  Confinement& show(const std::filesystem::path& path);
  /// An empty folder in memory at `path`, over what is shown there.
  Confinement& hide(const std::filesystem::path& path);
  /// A folder that can be written inside, and is the same outside.
  Confinement& share(const std::filesystem::path& path);

  /// The folder to start in, which is /tmp else.
  Confinement& start_in(const std::filesystem::path& path);

  /// The words to put before a command so that it runs inside. Its environment has PATH, LANG and TMPDIR alone.
  std::vector<std::string> prefix() const;

  /// To be called in the process that becomes the command: gives up being root, and allows `processes` and threads, the
  /// confinement's own included. Async-signal-safe.
  static void enter(unsigned processes);

 private:
  std::vector<std::string> mounts_;  // arguments of bwrap, in the order in which it makes them
  std::string start_ = "/tmp";
};

}  // namespace interleave
