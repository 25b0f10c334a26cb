#include "grader/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

extern char** environ;

namespace interleave {

namespace {

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

Ending ending_from(int status) {
  if (WIFEXITED(status)) return {true, WEXITSTATUS(status)};
  return {false, WTERMSIG(status)};
}

// Puts `source` at `target`; with nothing given, /dev/null for input and what is there for the rest.
bool redirect(int source, int target) {
  if (source < 0 && target == 0) source = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (source < 0) return true;
  if (source == target) return ::fcntl(target, F_SETFD, 0) == 0;
  return ::dup2(source, target) >= 0;
}

}  // namespace

Process::Process(const Command& command) : own_group_(command.own_group || command.own_session) {
  std::vector<std::string> arguments = command.arguments;
  std::vector<std::string> environment = command.environment;
  if (environment.empty()) {
    for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  }
  for (const auto& [name, value] : command.more_environment) {
    std::erase_if(environment, [&](const std::string& each) { return each.starts_with(name + "="); });
    environment.push_back(name + "=" + value);
  }
  std::vector<char*> argv = pointers_to(arguments), envp = pointers_to(environment);

  Pipe failure;  // carries errno back if the program cannot be started; closed by a successful execve
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    auto give_up = [&] {
      int error = errno;
      [[maybe_unused]] auto written = ::write(failure.write_end, &error, sizeof(error));
      ::_exit(127);
    };
    if (command.own_session) {
      ::setsid();
    } else if (command.own_group) {
      ::setpgid(0, 0);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number : {SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGHUP, SIGCHLD, SIGTTOU, SIGTTIN}) ::signal(number, SIG_DFL);
    if (!redirect(command.input, 0) || !redirect(command.output, 1) || !redirect(command.error, 2)) give_up();
    for (int descriptor : command.keep) ::fcntl(descriptor, F_SETFD, 0);
    if (!command.directory.empty() && ::chdir(command.directory.c_str()) != 0) give_up();
    if (command.before_exec) command.before_exec();
    ::execvpe(argv[0], argv.data(), envp.data());
    give_up();
  }
  if (command.own_group && !command.own_session) ::setpgid(pid_, pid_);  // on both sides: whoever comes first
  failure.close_write();
  int error = 0;
  ssize_t got;
  while ((got = ::read(failure.read_end, &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  if (got == sizeof(error)) {
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    throw std::system_error(error, std::generic_category(), command.arguments[0]);
  }
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), own_group_(other.own_group_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(own_group_, other.own_group_);
  return *this;
}

Process::~Process() {
  if (pid_ < 0) return;
  signal(SIGKILL);
  wait();
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(own_group_ ? -pid_ : pid_, number);
}

Ending Process::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return ending_from(status);
}

std::optional<Ending> Process::poll() {
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return ending_from(status);
}

Captured run_and_capture(Command command, const std::function<void(const std::string&)>& on_line) {
  Pipe pipe;
  command.output = command.error = pipe.write_end;
  Process process(command);
  pipe.close_write();
  Captured captured;
  std::size_t line_start = 0;
  char buffer[16384];
  while (true) {
    ssize_t got = ::read(pipe.read_end, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    captured.text.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end; (end = captured.text.find('\n', line_start)) != std::string::npos; line_start = end + 1) {
      if (on_line) on_line(captured.text.substr(line_start, end - line_start));
    }
  }
  captured.ending = process.wait();
  return captured;
}

Pipe::Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  read_end = ends[0];
  write_end = ends[1];
}

Pipe::~Pipe() {
  close_read();
  close_write();
}

void Pipe::close_read() {
  if (read_end >= 0) ::close(std::exchange(read_end, -1));
}

void Pipe::close_write() {
  if (write_end >= 0) ::close(std::exchange(write_end, -1));
}

}  // namespace interleave
