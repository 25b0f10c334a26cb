#pragma once

#include <string>
#include <vector>

namespace interleave {

/// Looks at the descriptors of this process while a function runs: before and after each of its calls that makes,
/// copies, changes or closes a descriptor, and before each that starts a process. So what is wrong for a moment only,
/// such as between pipe(2) and fcntl(2), is seen every time, and not when another thread forks just then.
///
/// Needs `exercise(... LIBRARIES descriptor_watch)`, which links the program so that these calls come through here if
/// they are written as pipe(), fcntl() and so on. Looks at the table of the thread that made the watch; child processes
/// and threads with a table of their own may do as they like. One at a time.
class DescriptorWatch {
 public:
  DescriptorWatch();
  DescriptorWatch(const DescriptorWatch&) = delete;
  DescriptorWatch& operator=(const DescriptorWatch&) = delete;
  ~DescriptorWatch();

  /// What was seen so far and must not be, one sentence each: a new descriptor that is not close-on-exec; a descriptor
  /// from before the watch that was closed, redirected or given other flags.
  std::vector<std::string> remarks() const;
};

}  // namespace interleave
