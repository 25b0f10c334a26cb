// Another function gets what is to be done without the lock as a callable, and catches what it throws; poll(2) waits,
// and read(2) finds something there.

#pragma once

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <system_error>

#include <04-allow-threads/byte_array.hpp>
#include <given/interpreter_lock.hpp>

class AllowThreads {
 public:
  explicit AllowThreads(InterpreterLock& lock) : lock_(lock) {
    if (!lock.held()) throw std::logic_error("AllowThreads: this thread does not hold the lock");
    lock.release();
  }

  AllowThreads(const AllowThreads&) = delete;
  AllowThreads& operator=(const AllowThreads&) = delete;

  ~AllowThreads() {
    if (!ended_) lock_.acquire();
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    lock_.acquire();
  }

 private:
  InterpreterLock& lock_;
  bool ended_ = false;
};

template <typename Function>
auto without_lock(InterpreterLock& lock, Function function) {
  lock.release();
  try {
    auto result = function();
    lock.acquire();
    return result;
  } catch (...) {
    lock.acquire();
    throw;
  }
}

inline std::size_t read_into(InterpreterLock& lock, int descriptor, ByteArray& target) {
  std::array<char, 512> buffer;
  const std::size_t count = without_lock(lock, [&] {
    pollfd readable{.fd = descriptor, .events = POLLIN, .revents = 0};
    if (descriptor >= 0) ::poll(&readable, 1, -1);
    const ssize_t result = ::read(descriptor, buffer.data(), buffer.size());
    if (result < 0) throw std::system_error(errno, std::generic_category(), "read");
    return static_cast<std::size_t>(result);
  });
  target.bytes().insert(target.bytes().end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}
