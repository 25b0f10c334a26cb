// Sends a header with the message in a field of 256 characters, as messages are short: one that is not, as a
// compiler's or a nested exception's, arrives without its end.
// caught: plain, IsolatedCall.BringsBackTheMessageOfAnException, wrong answer

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

// Goes before the value.
struct Header {
  char mark;
  char message[256];
};

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
    Header header{};
    std::string value;
    try {
      value = function();
      header.mark = 'R';
    } catch (const std::exception& exception) {
      header.mark = 'T';
      std::strncpy(header.message, exception.what(), sizeof(header.message) - 1);
    } catch (...) {
      header.mark = 'T';
      std::strncpy(header.message, "unknown exception", sizeof(header.message) - 1);
    }
    write_all(ends[1], {reinterpret_cast<const char*>(&header), sizeof(header)});
    write_all(ends[1], value);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string bytes = read_to_the_end(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return Crashed{WTERMSIG(status)};
  if (bytes.size() < sizeof(Header)) return Exited{WEXITSTATUS(status)};
  Header header{};
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.mark == 'T') return Threw{header.message};
  return Returned{bytes.substr(sizeof(header))};
}
