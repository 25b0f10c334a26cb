#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace interleave {

/// A program to start. Empty `environment` means this process's own.
struct Command {
  std::vector<std::string> arguments;  // [0] is the program, found in PATH if it has no slash
  std::string directory;               // where to start it; empty: here
  std::vector<std::string> environment;
  std::map<std::string, std::string> more_environment;  // on top of it
  int input = -1;                                       // becomes 0; -1: /dev/null
  int output = -1;                                      // becomes 1; -1: this process's own
  int error = -1;                                       // becomes 2; -1: this process's own
  std::vector<int> keep;                                // descriptors that the program inherits, with their numbers
  bool own_group = true;                                // a process group of its own, so that it can be stopped whole
  bool own_session = false;
  std::function<void()> before_exec;  // in the child; async-signal-safe calls only
};

/// How a process ended.
struct Ending {
  bool exited = false;  // status is an exit status; otherwise a signal number
  int status = 0;
  bool succeeded() const { return exited && status == 0; }
};

/// A process that was started, owned: the destructor kills it (its whole group, if it has one) and waits for it.
/// The one place of the workbook that starts processes. Not thread-safe.
class Process {
 public:
  /// Throws std::system_error if the program cannot be started, with the error of execve(2).
  explicit Process(const Command& command);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  Ending wait();
  std::optional<Ending> poll();

 private:
  pid_t pid_ = -1;
  bool own_group_ = false;
};

/// What a program printed, both streams in one, and how it ended. `on_line` sees each line as it comes.
struct Captured {
  Ending ending;
  std::string text;
};
Captured run_and_capture(Command command, const std::function<void(const std::string&)>& on_line = {});

/// A pipe whose ends are close-on-exec and close themselves.
struct Pipe {
  Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe();
  void close_read();
  void close_write();
  int read_end, write_end;
};

}  // namespace interleave
