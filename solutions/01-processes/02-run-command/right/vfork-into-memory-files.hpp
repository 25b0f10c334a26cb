// The program writes into files in memory (memfd_create(2)), which take any amount, so waiting first and reading
// afterwards is right. vfork(2) lends the child the parent's memory until it execs: a variable is enough to bring the
// errno home.

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>
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

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {
    if (descriptor < 0) throw_errno("a file");
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(descriptor_); }

  int descriptor() const { return descriptor_; }
  std::string contents() const {
    std::string all(static_cast<std::size_t>(::lseek(descriptor_, 0, SEEK_END)), '\0');
    std::size_t done = 0;
    while (done < all.size()) {
      ssize_t count = ::pread(descriptor_, all.data() + done, all.size() - done, static_cast<off_t>(done));
      if (count < 0 && errno != EINTR) throw_errno("pread");
      if (count > 0) done += static_cast<std::size_t>(count);
    }
    return all;
  }

 private:
  int descriptor_;
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

  File nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  File out(::memfd_create("out", MFD_CLOEXEC));
  File err(::memfd_create("err", MFD_CLOEXEC));

  volatile int error = 0;  // the child writes it, the parent reads it
  pid_t pid = ::vfork();
  if (pid == 0) {
    if (::dup2(nothing.descriptor(), STDIN_FILENO) >= 0 && ::dup2(out.descriptor(), STDOUT_FILENO) >= 0 &&
        ::dup2(err.descriptor(), STDERR_FILENO) >= 0) {
      ::execve(argv[0], argv.data(), envp.data());
    }
    error = errno;
    ::_exit(127);
  }
  if (pid < 0) throw_errno("vfork");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (error != 0) throw_errno(program, error);

  CommandResult result{out.contents(), err.contents(), Exited{WEXITSTATUS(status)}};
  if (WIFSIGNALED(status)) result.ending = Signaled{WTERMSIG(status)};
  return result;
}
