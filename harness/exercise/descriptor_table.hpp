#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace interleave {

/// What one number of a descriptor table stands for.
struct OpenDescriptor {
  std::string target;  // what /proc calls it
  dev_t device;        // with `inode`: which file, pipe or socket
  ino_t inode;
  int flags;  // of open(2): access mode, status flags, and O_CLOEXEC if it is close-on-exec
  off_t position;

  bool close_on_exec() const;
};

/// number -> what it stands for
using DescriptorTable = std::map<int, OpenDescriptor>;

/// The descriptors of this thread, or of another thread of this process. Without those that the look itself needs.
DescriptorTable descriptor_table();
DescriptorTable descriptor_table_of(pid_t thread);

/// What became of the descriptors in `before` that are closed, refer to something else or have other flags in `after`,
/// and which ones are new; one sentence each, empty if nothing. Positions are not compared.
std::vector<std::string> changes(const DescriptorTable& before, const DescriptorTable& after);

/// A program for tests of what a child process is given: started with `command()`, it writes down the descriptors it
/// was started with, and ends with status 0. (It is the test program, which leaves before its main function.)
class DescriptorReporter {
 public:
  DescriptorReporter();
  DescriptorReporter(const DescriptorReporter&) = delete;
  DescriptorReporter& operator=(const DescriptorReporter&) = delete;
  ~DescriptorReporter();

  std::vector<std::string> command() const;

  /// What the program wrote when it last ran; empty if it never came so far. Wait for the child first.
  DescriptorTable report() const;

 private:
  int file_;
};

}  // namespace interleave
