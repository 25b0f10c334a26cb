#pragma once

// 1.3 isolated-call: run a function in a process of its own and bring back its value, its exception or its crash.
//
// What Python's `concurrent.futures.ProcessPoolExecutor` does for one `submit(function).result()`, by hand.

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

/// The function returned.
struct Returned {
  std::string value;  // every byte of it, whatever the bytes are and however many; it may have none
};

/// An exception left the function.
struct Threw {
  std::string message;  // all of its what(), which may be empty; "unknown exception" if it is not a std::exception
};

/// A signal ended the process before the function was over.
struct Crashed {
  int signal;
};

/// The function ended the process itself, with _exit(status).
struct Exited {
  int status;  // 0 to 255
};

using IsolatedResult = std::variant<Returned, Threw, Crashed, Exited>;

// The answer is one byte that says what it is, then the bytes of the value or of the message, then the end of the pipe.
inline constexpr char returned_mark = 'R';
inline constexpr char threw_mark = 'T';

inline void write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      ::_exit(1);  // nobody is left to tell
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

/// Runs `function` once in a process of its own, made with fork(2), and returns how that went, after the process has
/// ended.
///
/// What the function does to memory, it does to that process's copy: the caller's memory stays as it was.
///
/// In the process: an exception from the function goes no further. When the function is over the process ends at once:
/// the caller's exit handlers (std::atexit) do not run in it, and output that the caller had buffered but not yet
/// written is not written by it. The function may close all descriptors of the process and then call _exit: that is
/// still Exited.
///
/// In the caller: a signal that is handled meanwhile changes nothing, and other children are neither waited for nor
/// mistaken for this one. If the process cannot be started, throws std::system_error with the error of fork(2). Leaves
/// no process, no zombie and no open descriptor behind, then too.
///
/// Called by one thread at a time. The function leaves no process of its own running.
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
    // From here on there is no way out but _exit.
    ::close(ends[0]);
    auto answer = [&](char mark, std::string_view bytes) {
      write_all(ends[1], {&mark, 1});
      write_all(ends[1], bytes);
    };
    try {
      answer(returned_mark, function());
    } catch (const std::exception& exception) {
      answer(threw_mark, exception.what());
    } catch (...) {
      answer(threw_mark, "unknown exception");
    }
    ::_exit(0);
  }

  ::close(ends[1]);  // the last writer must be the child, or there is no end to read to
  std::string bytes = read_to_the_end(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }

  // How it ended comes first: what a killed process had written so far is no answer.
  if (WIFSIGNALED(status)) return Crashed{WTERMSIG(status)};
  if (WEXITSTATUS(status) != 0 || bytes.empty()) return Exited{WEXITSTATUS(status)};
  char mark = bytes.front();
  bytes.erase(0, 1);
  if (mark == returned_mark) return Returned{std::move(bytes)};
  return Threw{std::move(bytes)};
}
