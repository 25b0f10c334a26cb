#pragma once

// 2.4 allow-threads: let the other threads run while this one waits.
//
// CPython's `Py_BEGIN_ALLOW_THREADS` and `Py_END_ALLOW_THREADS`; pybind11's `gil_scoped_release`. Python's
// `file.readinto(buffer)` does it around its read(2).

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>

#include <04-allow-threads/byte_array.hpp>
#include <given/interpreter_lock.hpp>

/// While it lives, the thread that made it does not hold the lock, and others can take it.
///
/// It is made and destroyed by one thread. Any number of threads may have one at the same time.
class AllowThreads {
 public:
  /// Gives the lock back. A thread that does not hold it, because it never took it or because of another AllowThreads
  /// around this one, gets std::logic_error; then nothing has changed, and the other AllowThreads goes on as it was.
  explicit AllowThreads(InterpreterLock& lock) : lock_(&lock) { lock.release(); }  // which throws if it is not held

  AllowThreads(const AllowThreads&) = delete;
  AllowThreads& operator=(const AllowThreads&) = delete;

  /// Takes the lock again, and waits for it if need be; also when an exception is on its way. Does nothing after end().
  ~AllowThreads() { end(); }

  /// Takes the lock again before the end of the scope. Does nothing if that has been done.
  void end() {
    if (lock_ == nullptr) return;
    lock_->acquire();
    lock_ = nullptr;
  }

 private:
  InterpreterLock* lock_;  // to be taken again; none once that is done
};

/// Reads what comes next from `descriptor`, as read(2) gives it to a buffer of 512 bytes or more, and appends it to
/// `target`. Waits until there is something to read, and not for more. Returns how many bytes there were; 0 at the end
/// of the file.
///
/// The calling thread holds the lock, and holds it again when this returns or throws. While it waits it does not hold
/// it: other threads may take the lock, wait in this function themselves, and change `target`. What was read is
/// appended to what `target` has then.
///
/// A read that fails throws std::system_error with the errno, and `target` is as it was.
inline std::size_t read_into(InterpreterLock& lock, int descriptor, ByteArray& target) {
  std::array<char, 4096> buffer;  // of this thread alone: `target` is out of bounds until the lock is back
  AllowThreads allow(lock);
  const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
  if (count < 0) throw std::system_error(errno, std::generic_category(), "read");
  allow.end();
  target.bytes().insert(target.bytes().end(), buffer.begin(), buffer.begin() + count);
  return static_cast<std::size_t>(count);
}
