// vfork: the parent stands still until the child has executed, and the two share their memory until then, so an
// ordinary variable carries the error. The child finds free numbers for its copies in its own table.

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

inline pid_t spawn_with_descriptors(const std::vector<std::string>& command, const StandardStreams& streams) {
  if (command.empty()) throw std::invalid_argument("spawn_with_descriptors: the command is empty");
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int sources[3] = {streams.in, streams.out, streams.err};
  for (int source : sources) {
    if (::fcntl(source, F_GETFD) < 0) throw std::system_error(errno, std::generic_category(), "a stream is not open");
  }
  const int highest = static_cast<int>(::sysconf(_SC_OPEN_MAX));

  volatile int error = 0;
  pid_t pid = ::vfork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "vfork");
  if (pid == 0) {
    int copies[3] = {-1, -1, -1};
    for (int place = 0; place < 3; ++place) copies[place] = ::fcntl(sources[place], F_DUPFD, 3);
    for (int place = 0; place < 3; ++place) {
      if (copies[place] < 0 || ::dup2(copies[place], place) < 0) {
        error = errno;
        ::_exit(127);
      }
    }
    for (int number = 3; number < highest; ++number) ::close(number);
    ::execve(arguments[0], arguments.data(), environ);
    error = errno;
    ::_exit(127);
  }
  if (error == 0) return pid;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  throw std::system_error(error, std::generic_category(), "cannot execute " + command[0]);
}
