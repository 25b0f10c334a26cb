// Gives the lock back only if it is held, so that one AllowThreads may stand in another: the end of the inner one takes
// the lock, and the rest of the outer scope waits with the lock in its hand.
// caught: plain, AllowThreads.RefusesAThreadThatDoesNotHoldTheLock, wrong answer

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
  explicit AllowThreads(InterpreterLock& lock) : lock_(&lock) {
    if (lock.held()) lock.release();
  }

  AllowThreads(const AllowThreads&) = delete;
  AllowThreads& operator=(const AllowThreads&) = delete;

  ~AllowThreads() { end(); }

  void end() {
    if (lock_ == nullptr) return;
    if (!lock_->held()) lock_->acquire();
    lock_ = nullptr;
  }

 private:
  InterpreterLock* lock_;
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
