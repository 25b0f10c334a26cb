// A thread leaves the shared descriptor table with unshare(CLONE_FILES), arranges its own copy at leisure, and starts
// the program from there. Its caller sees nothing of it.

#pragma once

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
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

  pid_t pid = -1;
  int error = 0;
  std::thread([&] {
    // From here on the numbers are this thread's own; it takes them along when it ends.
    if (::unshare(CLONE_FILES) != 0) {
      error = errno;
      return;
    }
    int copies[3] = {-1, -1, -1};
    const int sources[3] = {streams.in, streams.out, streams.err};
    for (int source : sources) {
      if (::fcntl(source, F_GETFD) < 0) {
        error = errno;
        return;
      }
    }
    for (int place = 0; place < 3; ++place) copies[place] = ::fcntl(sources[place], F_DUPFD, 3);
    for (int place = 0; place < 3; ++place) {
      if (copies[place] < 0 || ::dup2(copies[place], place) < 0) {
        error = errno;
        return;
      }
    }
    ::closefrom(3);
    error = ::posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
  }).join();
  if (error != 0) throw std::system_error(error, std::generic_category(), "cannot start " + command[0]);
  return pid;
}
