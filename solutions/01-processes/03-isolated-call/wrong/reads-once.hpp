// Takes one read() for the whole answer, with a buffer that was always large enough: read gives what is in the pipe
// at that moment, which is never more than a pipe holds.
// caught: plain, IsolatedCall.BringsBackAValueLargerThanAPipe, wrong answer

#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
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

inline std::string read_answer(int descriptor) {
  std::string bytes(1024 * 1024, '\0');
  ssize_t got = 0;
  do {
    got = ::read(descriptor, bytes.data(), bytes.size());
  } while (got < 0 && errno == EINTR);
  bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return bytes;
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
    auto answer = [&](char mark, std::string_view bytes) { write_all(ends[1], mark + std::string(bytes)); };
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
  std::string bytes = read_answer(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return Crashed{WTERMSIG(status)};
  if (WEXITSTATUS(status) != 0 || bytes.empty()) return Exited{WEXITSTATUS(status)};
  char mark = bytes.front();
  bytes.erase(0, 1);
  if (mark == 'R') return Returned{std::move(bytes)};
  return Threw{std::move(bytes)};
}
