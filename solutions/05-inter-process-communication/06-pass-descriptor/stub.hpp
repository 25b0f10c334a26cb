#pragma once

// 5.6 pass-descriptor: hand shared memory that has no name to another process, through a Unix socket.
//
// Python's `os.memfd_create()` with `mmap`, and `socket.send_fds()` and `socket.recv_fds()`, by hand.
//
// On the socket, which is a blocking stream socket, a buffer is one byte, whatever its value, with one descriptor
// beside it (SCM_RIGHTS, unix(7)). A signal handler that runs while a call waits (without SA_RESTART, too) changes
// nothing.

#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>

#include "exercise/not_done.hpp"

/// Memory that processes share: it is there as long as one of them has it. Owns its descriptor and its mapping, and
/// gives both back. Movable: what it was moved from owns nothing any more.
class SharedBuffer {
 public:
  /// Makes memory of `size` bytes, all zero (memfd_create(2)), that nobody can make shorter or longer any more: it is
  /// sealed (fcntl(2), F_ADD_SEALS). Size 0 throws std::invalid_argument. If the system does not give it, throws
  /// std::system_error and leaves nothing behind.
  explicit SharedBuffer(std::size_t size) {
    (void)size;  // take this line out once you use it
    interleave::not_done();
  }

  /// The memory, to read and to write. What one process writes, the others see.
  std::span<std::byte> bytes() const { interleave::not_done(); }

  /// The descriptor, close-on-exec from the moment it is open: another thread may execute a program at any time.
  int descriptor() const { interleave::not_done(); }
};

/// What came through the socket is no buffer, or not the one that was asked for.
struct RefusedBuffer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Sends the buffer to whoever has the other end of `socket`. The buffer may go afterwards: what was sent keeps the
/// memory.
///
/// Throws std::system_error with the error of sendmsg(2): EPIPE if the other end is closed; SIGPIPE does not come then.
inline void send_buffer(int socket, const SharedBuffer& buffer) {
  (void)socket, (void)buffer;  // take this line out once you use them
  interleave::not_done();
}

/// Waits for a buffer of at least `size` bytes and returns its first `size` bytes: those, and no more, are bytes() of
/// the result. Nothing if the other end is closed instead. Of the bytes on the socket it takes one.
///
/// The peer is not trusted. Throws RefusedBuffer
/// - if no descriptor came with the byte, or more than one, or if some were lost on the way (MSG_CTRUNC);
/// - if the descriptor is something else than memory that is sealed against shrinking: everybody who has unsealed
/// memory
///   can cut it off later, and a process that then touches it is ended by SIGBUS;
/// - if the memory is smaller than `size`.
/// Throws std::invalid_argument if `size` is 0, before it reads anything, and std::system_error with the error of a
/// call that failed: of recvmsg(2), or of mmap(2) if the memory cannot be mapped for reading and writing.
///
/// Every descriptor that came is close-on-exec from the moment it is there. Whenever this throws, all of them are
/// closed, however many there are. Control messages of other kinds, as the credentials that come if the caller has set
/// SO_PASSCRED, are passed over.
inline std::optional<SharedBuffer> receive_buffer(int socket, std::size_t size) {
  (void)socket, (void)size;  // take this line out once you use them
  interleave::not_done();
}
