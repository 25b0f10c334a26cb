#pragma once

// 1.5 descriptor-hygiene: start a program that has its three standard streams open, and nothing else.
//
// Python's `subprocess.Popen(command, stdin=..., stdout=..., stderr=..., close_fds=True)`, by hand.

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

/// Which of the caller's descriptors a child process gets as its standard input, output and error.
struct StandardStreams {
  int in;   // becomes descriptor 0 of the child
  int out;  // becomes descriptor 1
  int err;  // becomes descriptor 2
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

/// Starts a child process that executes the program `command[0]` with the arguments `command` and the caller's
/// environment, and returns its process id. Does not wait for the program to end: the caller does, with waitpid(2).
///
/// In the program, descriptors 0, 1 and 2 are duplicates of `streams.in`, `.out` and `.err`, as dup(2) makes them: the
/// same open file, the same position in it. Nothing else is open, whatever the caller has open, whether or not it is
/// close-on-exec, and however high its number.
///
/// The streams may be any open descriptors of the caller: close-on-exec or not, one for several streams, 0, 1 and 2
/// themselves, in their places or in others. Of the caller's own 0, 1 and 2, any may be closed.
///
/// The caller's descriptors belong to the caller: not one of them is closed, redirected or given another flag, not even
/// for a moment. What this function opens for itself is close-on-exec from the moment it is open (another thread may
/// fork and execute a program at any time), and is closed again when the function is left.
///
/// Throws, and leaves no process, no zombie and no open descriptor behind:
/// - std::invalid_argument if `command` is empty;
/// - std::system_error with EBADF if one of the streams is not open;
/// - std::system_error with the error of fork(2) if a process cannot be started;
/// - std::system_error with the error of execve(2) if `command[0]` cannot be executed. It is a path, and is not looked
///   for in PATH.
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
  // From copies out of the way, the streams can be put in their places in any order, and never onto themselves.
  OwnedDescriptor in(copy_above_the_streams(streams.in));
  OwnedDescriptor out(copy_above_the_streams(streams.out));
  OwnedDescriptor err(copy_above_the_streams(streams.err));

  // Carries the errno of a failed exec. A successful one closes the writing end, and the parent reads the end of file.
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  OwnedDescriptor reading(ends[0]), low_writing(ends[1]);
  OwnedDescriptor writing(copy_above_the_streams(ends[1]));  // 0, 1 and 2 may have been free for the pipe to take
  low_writing.close();

  pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    if (::dup2(in.number(), STDIN_FILENO) >= 0 && ::dup2(out.number(), STDOUT_FILENO) >= 0 &&
        ::dup2(err.number(), STDERR_FILENO) >= 0 &&
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
