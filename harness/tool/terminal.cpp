#include "tool/terminal.hpp"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>

namespace interleave {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

pid_t guarded_child = -1;

void pass_on(int number) {
  int error = errno;
  if (guarded_child > 0) ::kill(guarded_child, number);
  errno = error;
}

}  // namespace

Style Style::of(int descriptor) {
  Style style;
  bool terminal = ::isatty(descriptor) == 1;
  style.colour = terminal && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  std::string locale = environment("LC_ALL");
  if (locale.empty()) locale = environment("LC_CTYPE");
  if (locale.empty()) locale = environment("LANG");
  style.unicode = locale.find("UTF-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  winsize size{};
  if (terminal && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
  return style;
}

std::string fold(const std::string& text, int width, const std::string& indent) {
  std::string result;
  std::istringstream lines(text);
  std::size_t room =
      width > static_cast<int>(indent.size()) + 20 ? static_cast<std::size_t>(width) - indent.size() : 20;
  for (std::string line; std::getline(lines, line);) {
    while (line.size() > room) {
      auto at = line.rfind(' ', room);
      if (at == std::string::npos || at == 0) break;  // one long word stays whole
      result += indent + line.substr(0, at) + "\n";
      line.erase(0, at + 1);
    }
    result += indent + line + "\n";
  }
  return result;
}

KeyMode::KeyMode() {
  ::tcgetattr(STDIN_FILENO, &before_);
  termios keys = before_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  keys.c_cc[VMIN] = 1;
  keys.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
}

KeyMode::~KeyMode() { ::tcsetattr(STDIN_FILENO, TCSANOW, &before_); }

int run_guarded(int (*session)(void*), void* argument) {
  termios before{};
  bool terminal = ::tcgetattr(STDIN_FILENO, &before) == 0;
  std::fflush(nullptr);
  guarded_child = ::fork();
  if (guarded_child < 0) return session(argument);
  if (guarded_child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    std::exit(session(argument));
  }
  // Ctrl-C reaches the child by itself, since both are in the foreground group.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  ::signal(SIGTERM, pass_on);
  ::signal(SIGHUP, pass_on);
  int status = 0;
  while (::waitpid(guarded_child, &status, 0) < 0 && errno == EINTR) {
  }
  if (terminal) {
    ::signal(SIGTTOU, SIG_IGN);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
    if (WIFSIGNALED(status)) {
      std::fputs("\x1b[0m\x1b[?25h\n", stdout);
      std::fprintf(
          stderr,
          "learn was ended by signal %d. Your files and your progress are as they were; start it again with ./learn.\n",
          WTERMSIG(status));
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool ask(const std::string& question, bool otherwise) {
  if (::isatty(STDIN_FILENO) != 1) return otherwise;
  std::cout << question << (otherwise ? " [Y/n] " : " [y/N] ") << std::flush;
  std::string answer;
  if (!std::getline(std::cin, answer) || answer.empty()) return otherwise;
  return answer[0] == 'y' || answer[0] == 'Y';
}

}  // namespace interleave
