// The answer goes into a file in memory, which takes any number of bytes without a reader: the parent may wait first
// and read when nobody writes any more.

#pragma once

#include <sys/mman.h>
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

inline IsolatedResult isolated_call(const std::function<std::string()>& function) {
  int file = ::memfd_create("answer", MFD_CLOEXEC);
  if (file < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
  pid_t pid = ::fork();
  if (pid < 0) {
    int error = errno;
    ::close(file);
    throw std::system_error(error, std::generic_category(), "fork");
  }
  if (pid == 0) {
    try {
      write_all(file, "R" + function());
    } catch (const std::exception& exception) {
      write_all(file, std::string("T") + exception.what());
    } catch (...) {
      write_all(file, "Tunknown exception");
    }
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }

  std::string bytes;
  off_t size = ::lseek(file, 0, SEEK_END);
  if (size > 0) bytes.resize(static_cast<std::size_t>(size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    ssize_t got = ::pread(file, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (got > 0) have += static_cast<std::size_t>(got);
    if (got == 0 || (got < 0 && errno != EINTR)) break;
  }
  ::close(file);

  if (WIFSIGNALED(status)) return Crashed{WTERMSIG(status)};
  if (WEXITSTATUS(status) != 0 || bytes.empty()) return Exited{WEXITSTATUS(status)};
  char mark = bytes.front();
  bytes.erase(0, 1);
  if (mark == 'R') return Returned{std::move(bytes)};
  return Threw{std::move(bytes)};
}
