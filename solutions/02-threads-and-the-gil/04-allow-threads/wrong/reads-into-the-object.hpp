// Makes room in the object while it has the lock, and lets read(2) write there: no copy, but another thread may change
// the object meanwhile, and the room is somewhere else then.
// caught: asan, ReadInto.LetsOthersChangeTheTargetMeanwhile, memory error

#pragma once

#include <unistd.h>

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
  constexpr std::size_t room = 4096;
  const std::size_t before = target.bytes().size();
  target.bytes().resize(before + room);
  char* place = target.bytes().data() + before;
  ssize_t count = 0;
  int error = 0;
  {
    AllowThreads allow(lock);
    count = ::read(descriptor, place, room);
    error = errno;
  }
  target.bytes().resize(before + static_cast<std::size_t>(count < 0 ? 0 : count));
  if (count < 0) throw std::system_error(error, std::generic_category(), "read");
  return static_cast<std::size_t>(count);
}
