// Closes the write ends, because without that nothing works, and leaves the read ends to the end of the process.
// Nobody notices before the thousandth command, which fails with EMFILE.
// caught: plain, RunCommand.ReturnsWhenTheProgramHasEndedAndLeavesNothingBehind, leak

#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

struct Exited {
  int status;
};

struct Signaled {
  int signal;
};

struct CommandResult {
  std::string out;
  std::string err;
  std::variant<Exited, Signaled> ending;
};

/// Owns a child process: one that nobody has waited for is ended, and waited for, when its owner goes.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

  /// Waits for its end and returns the status as waitpid(2) gives it.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

[[noreturn]] inline void throw_errno(const std::string& what, int error = errno) {
  throw std::system_error(error, std::generic_category(), "run_command: " + what);
}

// The array that execve takes: pointers into `strings`, and a null pointer at the end.
inline std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& each : strings) {
    if (each.find('\0') != std::string::npos) throw std::invalid_argument("run_command: a NUL byte cannot be passed");
    pointers.push_back(const_cast<char*>(each.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

inline CommandResult run_command(const std::string& program, const std::vector<std::string>& arguments,
                                 const std::map<std::string, std::string>& environment) {
  // All memory is allocated before fork(): between fork and exec a child may only make system calls.
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) {
    if (name.empty() || name.find('=') != std::string::npos) {
      throw std::invalid_argument("run_command: '" + name + "' cannot be the name of a variable");
    }
    variables.push_back(name + "=" + value);
  }
  std::vector<char*> argv = pointers_to(words);
  std::vector<char*> envp = pointers_to(variables);

  int nothing = -1, out[2] = {-1, -1}, err[2] = {-1, -1};
  int failure[2] = {-1, -1};  // exec closes it without a word; a child that could not exec writes its errno first
  auto close_all = [&] {
    for (int each : {nothing, out[0], out[1], err[0], err[1], failure[0], failure[1]}) {
      if (each >= 0) ::close(each);
    }
  };
  auto fail = [&](const std::string& what, int reason) {
    close_all();
    throw_errno(what, reason);
  };

  nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0) fail("/dev/null", errno);
  if (::pipe2(out, O_CLOEXEC) != 0) fail("pipe2", errno);
  if (::pipe2(err, O_CLOEXEC) != 0) fail("pipe2", errno);
  if (::pipe2(failure, O_CLOEXEC) != 0) fail("pipe2", errno);

  pid_t pid = ::fork();
  if (pid < 0) fail("fork", errno);
  if (pid == 0) {
    // Only the three copies survive the exec. There is no way out of here but exec and _exit.
    if (::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(out[1], STDOUT_FILENO) >= 0 &&
        ::dup2(err[1], STDERR_FILENO) >= 0) {
      ::execve(argv[0], argv.data(), envp.data());
    }
    int error = errno;
    ::_exit(::write(failure[1], &error, sizeof(error)) == sizeof(error) ? 127 : 126);
  }
  Child child(pid);

  // While the parent holds a write end, its own reads never come to the end of file.
  for (int* each : {&nothing, &out[1], &err[1], &failure[1]}) ::close(std::exchange(*each, -1));

  int error = 0;
  ssize_t size = 0;
  while ((size = ::read(failure[0], &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  if (size > 0) fail(program, error);

  // Both streams at once: the program may fill either while the other has nothing to read.
  CommandResult result;
  std::array<std::string*, 2> captured{&result.out, &result.err};
  std::array<pollfd, 2> streams{{{out[0], POLLIN, 0}, {err[0], POLLIN, 0}}};
  std::vector<char> buffer(std::size_t{64} << 10);
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    if (::poll(streams.data(), streams.size(), -1) < 0) {
      if (errno == EINTR) continue;
      fail("poll", errno);
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (streams[i].revents == 0) continue;
      ssize_t count = ::read(streams[i].fd, buffer.data(), buffer.size());
      if (count > 0) captured[i]->append(buffer.data(), static_cast<std::size_t>(count));
      if (count == 0) streams[i].fd = -1;  // closed by the program; poll() passes over a negative descriptor
      if (count < 0 && errno != EINTR) fail("read", errno);
    }
  }

  ::close(failure[0]);
  int status = child.wait();
  if (WIFSIGNALED(status)) {
    result.ending = Signaled{WTERMSIG(status)};
  } else {
    result.ending = Exited{WEXITSTATUS(status)};
  }
  return result;
}
