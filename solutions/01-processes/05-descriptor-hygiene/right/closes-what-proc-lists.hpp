// Moves a source only when it is in the way, and closes what /proc/self/fd lists, in a first pass that collects and a
// second that closes. The error of exec comes through a socket pair.

#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
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

inline pid_t spawn_with_descriptors(const std::vector<std::string>& command, const StandardStreams& streams) {
  if (command.empty()) throw std::invalid_argument("spawn_with_descriptors: the command is empty");
  std::vector<const char*> arguments;
  for (const std::string& argument : command) arguments.push_back(argument.c_str());
  arguments.push_back(nullptr);
  int sources[3] = {streams.in, streams.out, streams.err};
  for (int source : sources) {
    if (::fcntl(source, F_GETFD) < 0) throw std::system_error(errno, std::generic_category(), "a stream is not open");
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  OwnedDescriptor parents(ends[0]), childs(ends[1]);
  std::vector<int> to_close;
  to_close.reserve(static_cast<std::size_t>(::sysconf(_SC_OPEN_MAX)));  // the child allocates nothing of its own

  pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    int report = ::fcntl(childs.number(), F_DUPFD_CLOEXEC, 3);
    bool ready = report >= 0;
    for (int place = 0; ready && place < 3; ++place) {
      // Whoever still needs what is in this place gets a copy of it first.
      for (int later = place + 1; later < 3; ++later) {
        if (sources[later] == place) sources[later] = ::fcntl(place, F_DUPFD_CLOEXEC, 3);
      }
      ready = sources[place] == place ? ::fcntl(place, F_SETFD, 0) == 0 : ::dup2(sources[place], place) >= 0;
    }
    if (ready) {
      DIR* listing = ::opendir("/proc/self/fd");
      while (const dirent* entry = ::readdir(listing)) {
        int number = std::atoi(entry->d_name);
        if (number > 2 && number != report && number != ::dirfd(listing)) to_close.push_back(number);
      }
      ::closedir(listing);
      for (int number : to_close) ::close(number);
      ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
    }
    int error = errno;
    (void)!::send(report, &error, sizeof(error), 0);
    ::_exit(127);
  }

  childs.close();
  int error = 0;
  if (::recv(parents.number(), &error, sizeof(error), MSG_WAITALL) == 0) return pid;
  ::waitpid(pid, nullptr, 0);
  throw std::system_error(error, std::generic_category(), "cannot execute " + command[0]);
}
