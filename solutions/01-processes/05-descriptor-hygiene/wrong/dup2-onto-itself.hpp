// Counts on dup2 to clear close-on-exec, which it does for the copy: with source and target the same there is no copy,
// dup2 does nothing at all, and the stream is closed at exec.
// caught: plain, SpawnWithDescriptors.KeepsAStreamThatIsInItsPlaceAlready, wrong answer

#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

struct StandardStreams {
  int in;
  int out;
  int err;
};

/// A descriptor that is closed when its owner goes out of scope.
class OwnedDescriptor {
 public:
  explicit OwnedDescriptor(int number) : number_(number) {}
  OwnedDescriptor(const OwnedDescriptor&) = delete;
  OwnedDescriptor& operator=(const OwnedDescriptor&) = delete;
  ~OwnedDescriptor() { close(); }

  int number() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

/// A copy of `source` that no dup2 onto 0, 1 or 2 can hit, and that no program inherits.
inline int copy_above_the_streams(int source) {
  int copy = ::fcntl(source, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (copy < 0) throw std::system_error(errno, std::generic_category(), "fcntl(F_DUPFD_CLOEXEC)");
  return copy;
}

inline pid_t spawn_with_descriptors(const std::vector<std::string>& command, const StandardStreams& streams) {
  if (command.empty()) throw std::invalid_argument("spawn_with_descriptors: the command is empty");
  // Made here: between fork and exec in a process with threads, not even malloc may be called.
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  // All of them before the first descriptor is made here, which might get the number of one that is not open.
  for (int stream : {streams.in, streams.out, streams.err}) {
    if (::fcntl(stream, F_GETFD) < 0) throw std::system_error(errno, std::generic_category(), "a stream is not open");
  }
  // Carries the errno of a failed exec. A successful one closes the writing end, and the parent reads the end of file.
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  OwnedDescriptor reading(ends[0]), low_writing(ends[1]);
  OwnedDescriptor writing(copy_above_the_streams(ends[1]));  // 0, 1 and 2 may have been free for the pipe to take
  low_writing.close();

  pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    if (::dup2(streams.in, STDIN_FILENO) >= 0 && ::dup2(streams.out, STDOUT_FILENO) >= 0 &&
        ::dup2(streams.err, STDERR_FILENO) >= 0 &&
        ::close_range(STDERR_FILENO + 1, ~0U, static_cast<int>(CLOSE_RANGE_CLOEXEC)) == 0) {
      ::execv(arguments[0], arguments.data());
    }
    int error = errno;
    (void)!::write(writing.number(), &error, sizeof(error));
    ::_exit(127);
  }

  writing.close();
  int error = 0;
  ssize_t got;
  while ((got = ::read(reading.number(), &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  if (got == 0) return pid;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  throw std::system_error(error, std::generic_category(), "cannot execute " + command[0]);
}
