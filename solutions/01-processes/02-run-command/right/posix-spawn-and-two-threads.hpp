// posix_spawn(3) does the redirection and brings exec's errno home by itself; each stream is read by a thread of its
// own, in which nothing is simpler than read().

#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
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

// Both ends of a pipe; closes what is still open.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw_errno("pipe2");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(ends_[0]);
    close_write_end();
  }

  int write_end() const { return ends_[1]; }
  void close_write_end() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  std::string read_all() {
    std::string all;
    std::array<char, 16384> buffer;
    ssize_t count = 0;
    while ((count = ::read(ends_[0], buffer.data(), buffer.size())) != 0) {
      if (count > 0) all.append(buffer.data(), static_cast<std::size_t>(count));
      if (count < 0 && errno != EINTR) throw_errno("read");
    }
    return all;
  }

 private:
  int ends_[2];
};

inline CommandResult run_command(const std::string& program, const std::vector<std::string>& arguments,
                                 const std::map<std::string, std::string>& environment) {
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

  Pipe out, err;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write_end(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.write_end(), STDERR_FILENO);
  pid_t pid = -1;
  int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw_errno(program, error);
  out.close_write_end();
  err.close_write_end();

  CommandResult result;
  {
    std::jthread out_reader([&] { result.out = out.read_all(); });
    std::jthread err_reader([&] { result.err = err.read_all(); });
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    result.ending = Signaled{WTERMSIG(status)};
  } else {
    result.ending = Exited{WEXITSTATUS(status)};
  }
  return result;
}
