// Redirects what it captures and leaves standard input as it is: the program reads what was meant for its caller, or
// waits for the keyboard.
// caught: plain, RunCommand.GivesTheProgramDevNullToRead, wrong answer

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

/// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { close(); }

  int get() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_;
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

struct Pipe {
  Descriptor read_end, write_end;
};

// Close-on-exec from the first moment on: what the program shall have, it gets by dup2, which takes the mark away.
inline Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
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

  Pipe out = make_pipe();
  Pipe err = make_pipe();
  Pipe failure = make_pipe();  // exec closes it without a word; a child that could not exec writes its errno first

  pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid == 0) {
    // Only the three copies survive the exec. There is no way out of here but exec and _exit.
    if (::dup2(out.write_end.get(), STDOUT_FILENO) >= 0 && ::dup2(err.write_end.get(), STDERR_FILENO) >= 0) {
      ::execve(argv[0], argv.data(), envp.data());
    }
    int error = errno;
    ::_exit(::write(failure.write_end.get(), &error, sizeof(error)) == sizeof(error) ? 127 : 126);
  }
  Child child(pid);

  // While the parent holds a write end, its own reads never come to the end of file.
  out.write_end.close();
  err.write_end.close();
  failure.write_end.close();

  int error = 0;
  ssize_t size = 0;
  while ((size = ::read(failure.read_end.get(), &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  if (size > 0) throw_errno(program, error);

  // Both streams at once: the program may fill either while the other has nothing to read.
  CommandResult result;
  std::array<std::string*, 2> captured{&result.out, &result.err};
  std::array<pollfd, 2> streams{{{out.read_end.get(), POLLIN, 0}, {err.read_end.get(), POLLIN, 0}}};
  std::vector<char> buffer(std::size_t{64} << 10);
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    if (::poll(streams.data(), streams.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throw_errno("poll");
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (streams[i].revents == 0) continue;
      ssize_t count = ::read(streams[i].fd, buffer.data(), buffer.size());
      if (count > 0) captured[i]->append(buffer.data(), static_cast<std::size_t>(count));
      if (count == 0) streams[i].fd = -1;  // closed by the program; poll() passes over a negative descriptor
      if (count < 0 && errno != EINTR) throw_errno("read");
    }
  }

  int status = child.wait();
  if (WIFSIGNALED(status)) {
    result.ending = Signaled{WTERMSIG(status)};
  } else {
    result.ending = Exited{WEXITSTATUS(status)};
  }
  return result;
}
