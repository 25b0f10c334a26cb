// Gives the lock back and leaves it to the caller to take it again when it needs it: the caller believes that it still
// has it.
// caught: plain, AllowThreads.LetsOthersHaveTheLockAndTakesItBack, wrong answer

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
  explicit AllowThreads(InterpreterLock& lock) : lock_(&lock) { lock.release(); }

  AllowThreads(const AllowThreads&) = delete;
  AllowThreads& operator=(const AllowThreads&) = delete;

  ~AllowThreads() = default;

  void end() {
    if (lock_ == nullptr) return;
    lock_->acquire();
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
