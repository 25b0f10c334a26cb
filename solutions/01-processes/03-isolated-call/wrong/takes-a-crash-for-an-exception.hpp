// Turns every failure into an exception with a friendly message: the caller cannot tell any more whether to report
// an error or to look for a broken pointer.
// caught: plain, IsolatedCall.TellsACrashByItsSignal, wrong answer

#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

struct Returned {
  std::string value;
};

struct Threw {
  std::string message;
};

struct Crashed {
  int signal;
};

struct Exited {
  int status;
};

using IsolatedResult = std::variant<Returned, Threw, Crashed, Exited>;

inline void write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      ::_exit(1);
    }
  }
}

inline std::string read_to_the_end(int descriptor) {
  std::string bytes;
  char buffer[64 * 1024];
  while (true) {
    ssize_t got = ::read(descriptor, buffer, sizeof(buffer));
    if (got == 0) return bytes;
    if (got > 0) bytes.append(buffer, static_cast<std::size_t>(got));
    if (got < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "read");
  }
}

inline IsolatedResult isolated_call(const std::function<std::string()>& function) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  pid_t pid = ::fork();
  if (pid < 0) {
    int error = errno;  // close may change it
    ::close(ends[0]);
    ::close(ends[1]);
    throw std::system_error(error, std::generic_category(), "fork");
  }
  if (pid == 0) {
    ::close(ends[0]);
    auto answer = [&](char mark, std::string_view bytes) {
      write_all(ends[1], {&mark, 1});
      write_all(ends[1], bytes);
    };
    try {
      answer('R', function());
    } catch (const std::exception& exception) {
      answer('T', exception.what());
    } catch (...) {
      answer('T', "unknown exception");
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string bytes = read_to_the_end(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return Threw{"the process crashed: " + std::string(::strsignal(WTERMSIG(status)))};
  if (WEXITSTATUS(status) != 0 || bytes.empty()) return Exited{WEXITSTATUS(status)};
  char mark = bytes.front();
  bytes.erase(0, 1);
  if (mark == 'R') return Returned{std::move(bytes)};
  return Threw{std::move(bytes)};
}
