// A socket, and an answer that says how long it is: the parent reads so many bytes and not to the end, and asks the
// kernel by waitid(2) how the process ended.

#pragma once

#include <sys/socket.h>
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

struct Frame {
  std::size_t size;
  char mark;
};

inline void send_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) ::_exit(1);
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// False if the other side has closed first.
inline bool receive_all(int descriptor, char* to, std::size_t size) {
  while (size > 0) {
    ssize_t got = ::recv(descriptor, to, size, MSG_WAITALL);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

inline IsolatedResult isolated_call(const std::function<std::string()>& function) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  pid_t pid = ::fork();
  if (pid < 0) {
    int error = errno;
    ::close(sockets[0]);
    ::close(sockets[1]);
    throw std::system_error(error, std::generic_category(), "fork");
  }
  if (pid == 0) {
    auto answer = [&](char mark, std::string_view bytes) {
      Frame frame{};
      frame.size = bytes.size();
      frame.mark = mark;
      send_all(sockets[1], {reinterpret_cast<const char*>(&frame), sizeof(frame)});
      send_all(sockets[1], bytes);
      ::_exit(0);
    };
    try {
      answer('R', function());
    } catch (const std::exception& exception) {
      answer('T', exception.what());
    } catch (...) {
      answer('T', "unknown exception");
    }
  }

  ::close(sockets[1]);
  Frame frame{};
  std::string bytes;
  bool complete = receive_all(sockets[0], reinterpret_cast<char*>(&frame), sizeof(frame));
  if (complete) {
    bytes.resize(frame.size);
    complete = receive_all(sockets[0], bytes.data(), bytes.size());
  }
  ::close(sockets[0]);

  siginfo_t end{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED) < 0 && errno == EINTR) {
  }
  if (complete && frame.mark == 'R') return Returned{std::move(bytes)};
  if (complete) return Threw{std::move(bytes)};
  if (end.si_code == CLD_EXITED) return Exited{end.si_status};
  return Crashed{end.si_status};
}
