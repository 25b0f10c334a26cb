// Reads until the buffer is full, because a read may come back with less than was asked for: that is how files are
// copied, but here the rest may be an answer that somebody gives only when this one has been seen.
// caught: plain, ReadInto.AppendsWhatItReads, deadlock

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

inline std::size_t read_into(InterpreterLock& lock, int descriptor, ByteArray& target) {
  std::array<char, 4096> buffer;
  AllowThreads allow(lock);
  ssize_t count = 0;
  while (count < static_cast<ssize_t>(buffer.size())) {
    const ssize_t more = ::read(descriptor, buffer.data() + count, buffer.size() - static_cast<std::size_t>(count));
    if (more < 0) throw std::system_error(errno, std::generic_category(), "read");
    if (more == 0) break;
    count += more;
  }
  allow.end();
  target.bytes().insert(target.bytes().end(), buffer.begin(), buffer.begin() + count);
  return static_cast<std::size_t>(count);
}
