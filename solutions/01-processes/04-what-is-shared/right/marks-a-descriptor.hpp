// One unit, which marks a descriptor as close-on-exec and leaves it open, moves to a directory made for the purpose,
// and reports in a file in memory.

#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using Launcher = std::function<void(const std::function<void()>&)>;

struct Sharing {
  bool memory = false;
  bool heap = false;
  bool stack = false;
  bool descriptors = false;
  bool working_directory = false;
  bool pid = false;

  bool operator==(const Sharing&) const = default;
};

inline Sharing what_is_shared(const Launcher& launcher) {
  if (!launcher) throw std::invalid_argument("what_is_shared: no launcher");

  char elsewhere[] = "/tmp/what-is-shared-unit-XXXXXX";
  if (::mkdtemp(elsewhere) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
  int home = ::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int report = ::memfd_create("report", MFD_CLOEXEC);
  int marked = ::dup(report);
  std::string directory(4096, '\0');

  static int global = 0;
  global = 0;
  std::vector<char> heap(1000, 'c');
  char local[1000] = "creator";

  auto put_back = [&] {
    (void)::fchdir(home);
    ::rmdir(elsewhere);
    for (int descriptor : {home, report, marked}) ::close(descriptor);
  };
  std::string before = ::getcwd(directory.data(), directory.size());
  try {
    launcher([&] {
      pid_t pid = ::getpid();
      ++global;
      heap.back() = 'u';
      local[999] = 'u';
      ::fcntl(marked, F_SETFD, FD_CLOEXEC);
      (void)::chdir(elsewhere);
      (void)!::pwrite(report, &pid, sizeof(pid), 0);
    });
  } catch (...) {
    put_back();
    throw;
  }
  pid_t pid = 0;
  bool has_run = ::pread(report, &pid, sizeof(pid), 0) == sizeof(pid);
  Sharing sharing{
      .memory = global == 1,
      .heap = heap.back() == 'u',
      .stack = local[999] == 'u',
      .descriptors = (::fcntl(marked, F_GETFD) & FD_CLOEXEC) != 0,
      .working_directory = before != ::getcwd(directory.data(), directory.size()),
      .pid = pid == ::getpid(),
  };
  put_back();
  if (!has_run) throw std::invalid_argument("what_is_shared: the callable has not run");
  return sharing;
}
