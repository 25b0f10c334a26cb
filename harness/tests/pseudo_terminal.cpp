#include "tests/pseudo_terminal.hpp"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <regex>
#include <system_error>

namespace interleave {

namespace {
constexpr auto watchdog = std::chrono::seconds(60);
}

PseudoTerminal::PseudoTerminal(const std::vector<std::string>& arguments,
                               const std::map<std::string, std::string>& environment) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  winsize size{40, 100, 0, 0};
  pid_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "forkpty");
  if (pid_ == 0) {
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
}

PseudoTerminal::~PseudoTerminal() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    wait_for_end();
  }
  ::close(terminal_);
}

void PseudoTerminal::type(const std::string& keys) {
  if (::write(terminal_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) {
    throw std::system_error(errno, std::generic_category(), "typing");
  }
}

void PseudoTerminal::resize(unsigned short columns, unsigned short rows) {
  winsize size{rows, columns, 0, 0};
  ::ioctl(terminal_, TIOCSWINSZ, &size);
}

bool PseudoTerminal::read_some(int milliseconds) {
  pollfd source{terminal_, POLLIN, 0};
  if (::poll(&source, 1, milliseconds) <= 0) return true;
  char buffer[65536];
  ssize_t size = ::read(terminal_, buffer, sizeof(buffer));
  if (size <= 0) return false;  // EIO: the other side is closed
  output_.append(buffer, static_cast<std::size_t>(size));
  return true;
}

std::string PseudoTerminal::screen() const {
  auto cleared = output_.rfind("\x1b[2J");
  std::string text = cleared == std::string::npos ? output_ : output_.substr(cleared);
  text = std::regex_replace(text, std::regex("\x1b\\[[0-9;?]*[A-Za-z]"), "");
  return std::regex_replace(text, std::regex("\r"), "");
}

bool PseudoTerminal::shows(const std::string& text) {
  auto end = std::chrono::steady_clock::now() + watchdog;
  while (screen().find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > end || !read_some(100)) return screen().find(text) != std::string::npos;
  }
  return true;
}

int PseudoTerminal::wait_for_end() {
  auto end = std::chrono::steady_clock::now() + watchdog;
  while (std::chrono::steady_clock::now() < end) {
    read_some(20);
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) continue;
    pid_ = -1;
    while (true) {
      std::size_t before = output_.size();
      if (!read_some(0) || output_.size() == before) break;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return -1;
}

termios PseudoTerminal::settings() const {
  termios settings{};
  ::tcgetattr(terminal_, &settings);
  return settings;
}

}  // namespace interleave
