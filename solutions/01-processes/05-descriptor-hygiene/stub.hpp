#pragma once

// 1.5 descriptor-hygiene: start a program that has its three standard streams open, and nothing else.
//
// Python's `subprocess.Popen(command, stdin=..., stdout=..., stderr=..., close_fds=True)`, by hand.

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "exercise/not_done.hpp"

/// Which of the caller's descriptors a child process gets as its standard input, output and error.
struct StandardStreams {
  int in;   // becomes descriptor 0 of the child
  int out;  // becomes descriptor 1
  int err;  // becomes descriptor 2
};

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
  (void)command, (void)streams;  // take this line out once you use them
  interleave::not_done();
}
