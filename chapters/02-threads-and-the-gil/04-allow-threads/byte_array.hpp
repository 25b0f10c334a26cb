#pragma once

#include <stdexcept>
#include <vector>

#include <given/interpreter_lock.hpp>

/// An object that the threads of an interpreter share, as Python's bytearray. Only a thread that holds the lock may
/// touch it.
class ByteArray {
 public:
  /// `lock` is the interpreter's lock, and lives longer.
  explicit ByteArray(const InterpreterLock& lock) : lock_(lock) {}

  ByteArray(const ByteArray&) = delete;
  ByteArray& operator=(const ByteArray&) = delete;

  /// Its bytes, to read and to change for as long as the calling thread holds the lock. Throws std::logic_error if it
  /// does not hold it.
  std::vector<char>& bytes() {
    if (!lock_.held()) throw std::logic_error("ByteArray: touched by a thread that does not hold the lock");
    return bytes_;
  }

 private:
  const InterpreterLock& lock_;
  std::vector<char> bytes_;
};
