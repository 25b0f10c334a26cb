// Allows threads around the read, and once more in the function that does it, to be sure that no wait is with the lock:
// the second one gives back what this thread has not got any more.
// caught: plain, ReadInto.AppendsWhatItReads, wrong answer

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

  ~AllowThreads() { end(); }

  void end() {
    if (lock_ == nullptr) return;
    lock_->acquire();
    lock_ = nullptr;
  }

 private:
  InterpreterLock* lock_;
};

inline ssize_t read_without_lock(InterpreterLock& lock, int descriptor, char* buffer, std::size_t size) {
  AllowThreads allow(lock);
  return ::read(descriptor, buffer, size);
}

inline std::size_t read_into(InterpreterLock& lock, int descriptor, ByteArray& target) {
  std::array<char, 4096> buffer;
  AllowThreads allow(lock);
  const ssize_t count = read_without_lock(lock, descriptor, buffer.data(), buffer.size());
  if (count < 0) throw std::system_error(errno, std::generic_category(), "read");
  allow.end();
  target.bytes().insert(target.bytes().end(), buffer.begin(), buffer.begin() + count);
  return static_cast<std::size_t>(count);
}
