// A std::unique_lock the other way round: of an adapter whose lock() gives the interpreter's lock back, and whose
// unlock() takes it. What was read is kept in a std::vector until the lock is back.

#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <mutex>
#include <system_error>
#include <vector>

#include <04-allow-threads/byte_array.hpp>
#include <given/interpreter_lock.hpp>

class AllowThreads {
 public:
  explicit AllowThreads(InterpreterLock& lock) : inverse_{lock}, scope_(inverse_) {}

  AllowThreads(const AllowThreads&) = delete;
  AllowThreads& operator=(const AllowThreads&) = delete;

  ~AllowThreads() = default;

  void end() {
    if (scope_.owns_lock()) scope_.unlock();
  }

 private:
  struct Inverse {
    InterpreterLock& gil;
    void lock() { gil.release(); }
    void unlock() { gil.acquire(); }
  };

  Inverse inverse_;
  std::unique_lock<Inverse> scope_;
};

inline std::size_t read_into(InterpreterLock& lock, int descriptor, ByteArray& target) {
  std::vector<char> read(65536);
  {
    AllowThreads allow(lock);
    const ssize_t count = ::read(descriptor, read.data(), read.size());
    if (count < 0) throw std::system_error(errno, std::generic_category(), "read");
    read.resize(static_cast<std::size_t>(count));
  }
  std::vector<char>& bytes = target.bytes();
  bytes.insert(bytes.end(), read.begin(), read.end());
  return read.size();
}
