// Puts a mutex of its own around the read in place of the lock that it gives back: the other threads can run, but two
// that read still wait for each other.
// caught: plain, ReadInto.LetsAllThreadsWaitAtTheSameTime, over-synchronised

#pragma once

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <mutex>
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
  static std::mutex reading;
  std::unique_lock one_at_a_time(reading);
  const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
  one_at_a_time.unlock();
  if (count < 0) throw std::system_error(errno, std::generic_category(), "read");
  allow.end();
  target.bytes().insert(target.bytes().end(), buffer.begin(), buffer.begin() + count);
  return static_cast<std::size_t>(count);
}
