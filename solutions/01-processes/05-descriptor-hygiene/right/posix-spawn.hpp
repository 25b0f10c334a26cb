// posix_spawn with file actions: no fork and no pipe of one's own; the library brings the error of exec back. Needs
// the copies above 2, for the actions run one after the other.

#pragma once

#include <fcntl.h>
#include <spawn.h>
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
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  for (int stream : {streams.in, streams.out, streams.err}) {
    if (::fcntl(stream, F_GETFD) < 0) throw std::system_error(errno, std::generic_category(), "a stream is not open");
  }
  OwnedDescriptor in(copy_above_the_streams(streams.in));
  OwnedDescriptor out(copy_above_the_streams(streams.out));
  OwnedDescriptor err(copy_above_the_streams(streams.err));

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.number(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out.number(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.number(), STDERR_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  pid_t pid = -1;
  int error = ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::system_error(error, std::generic_category(), "cannot execute " + command[0]);
  return pid;
}
