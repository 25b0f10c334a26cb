// Takes the lock in end() and again in the destructor, as the scope is what counts: after end() the caller may have
// given the lock away since, and holds it once more without knowing.
// caught: plain, AllowThreads.CanEndBeforeItsScope, wrong answer

#pragma once

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>

#include <04-allow-threads/byte_array.hpp>
#include <given/interpreter_lock.hpp>

class AllowThreads {
 public:
  explicit AllowThreads(InterpreterLock& lock) : lock_(lock) { lock.release(); }

  AllowThreads(const AllowThreads&) = delete;
  AllowThreads& operator=(const AllowThreads&) = delete;

  ~AllowThreads() {
    if (!lock_.held()) lock_.acquire();
  }

  void end() {
    if (ended_) return;
    lock_.acquire();
    ended_ = true;
  }

 private:
  InterpreterLock& lock_;
  bool ended_ = false;
};

inline std::size_t read_into(InterpreterLock& lock, int descriptor, ByteArray& target) {
  std::array<char, 4096> buffer;
  AllowThreads allow(lock);
  const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
  if (count < 0) throw std::system_error(errno, std::generic_category(), "read");
  allow.end();
  target.bytes().insert(target.bytes().end(), buffer.begin(), buffer.begin() + count);
  return static_cast<std::size_t>(count);
}
