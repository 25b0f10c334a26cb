// popen(3) does all of this in a line: but it takes a command line and not a program with arguments, so a shell takes
// the arguments apart again and runs what it finds in them.
// caught: plain, RunCommand.PassesEachArgumentAsItIs, wrong answer

#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
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

inline CommandResult run_command(const std::string& program, const std::vector<std::string>& arguments,
                                 const std::map<std::string, std::string>& environment) {
  char name[] = "/tmp/run_command.XXXXXX";
  int err = ::mkstemp(name);
  if (err < 0) throw std::system_error(errno, std::generic_category(), "mkstemp");
  ::unlink(name);

  std::string line = "exec env -i";
  for (const auto& [variable, value] : environment) line += " " + variable + "=" + value;
  line += " " + program;
  for (const std::string& argument : arguments) line += " " + argument;
  line += " </dev/null 2>/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(err);

  std::FILE* out = ::popen(line.c_str(), "r");
  if (out == nullptr) {
    ::close(err);
    throw std::system_error(errno, std::generic_category(), "popen");
  }
  CommandResult result;
  char buffer[4096];
  while (std::size_t count = std::fread(buffer, 1, sizeof(buffer), out)) result.out.append(buffer, count);
  int status = ::pclose(out);
  ssize_t count = 0;
  while ((count = ::read(err, buffer, sizeof(buffer))) > 0) result.err.append(buffer, static_cast<std::size_t>(count));
  ::close(err);
  if (WIFSIGNALED(status)) {
    result.ending = Signaled{WTERMSIG(status)};
  } else {
    result.ending = Exited{WEXITSTATUS(status)};
  }
  return result;
}
