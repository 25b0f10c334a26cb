// Sends the length first and reads exactly so much, so the write end may stay open in the parent: but a crashed
// child sends no length, and no end of file comes while the reader itself could still write.
// caught: plain, IsolatedCall.TellsACrashByItsSignal, deadlock

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

// False at the end of the file.
inline bool read_all(int descriptor, char* to, std::size_t size) {
  while (size > 0) {
    ssize_t got = ::read(descriptor, to, size);
    if (got == 0) return false;
    if (got < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "read");
    if (got > 0) {
      to += got;
      size -= static_cast<std::size_t>(got);
    }
  }
  return true;
}

struct Header {
  std::size_t size;
  char mark;
};

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
      Header header{bytes.size(), mark};
      write_all(ends[1], {reinterpret_cast<const char*>(&header), sizeof(header)});
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
  Header header{};
  std::string bytes;
  bool complete = read_all(ends[0], reinterpret_cast<char*>(&header), sizeof(header));
  if (complete) {
    bytes.resize(header.size);
    complete = read_all(ends[0], bytes.data(), bytes.size());
  }
  ::close(ends[0]);
  ::close(ends[1]);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return Crashed{WTERMSIG(status)};
  if (!complete) return Exited{WEXITSTATUS(status)};
  if (header.mark == 'R') return Returned{std::move(bytes)};
  return Threw{std::move(bytes)};
}
