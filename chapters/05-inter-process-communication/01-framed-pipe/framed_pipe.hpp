#pragma once

// 5.1 framed-pipe: send whole messages through a pipe or a socket, which carry nothing but a stream of bytes.
//
// Python's `multiprocessing.connection.Connection` with `send_bytes()` and `recv_bytes(maxlength)`, by hand.
//
// On the stream a message is its length in 8 bytes, least significant byte first (little-endian), and then its bytes.
// A message may have no bytes at all.
//
// Either end is a descriptor of a pipe or of a stream socket. It stays the caller's, who closes it. It may be
// O_NONBLOCK: that flag belongs to everybody who has the pipe or socket open, so here it is neither relied on nor
// changed. Who has to wait sleeps, and a signal handler that runs meanwhile (without SA_RESTART, too) changes nothing.

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "exercise/not_done.hpp"

/// The stream ended in the middle of a message: the peer has gone before it had written all of it.
struct TruncatedMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A message is longer than the reader allows, or what was read is no length at all.
struct OversizedMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The sending end. write_message() may be called by several threads at once.
class FrameWriter {
 public:
  explicit FrameWriter(int descriptor) {
    (void)descriptor;  // take this line out once you use it
    interleave::not_done();
  }

  /// Returns when the message is written, all of it, with no byte of another thread's message in between. Waits for
  /// nobody who writes to another descriptor.
  ///
  /// Throws std::system_error with the error of write(2): EPIPE if the other end is closed. SIGPIPE is not delivered
  /// then, whatever the process has arranged for it. What the process does on a signal is not changed, not even for a
  /// moment, for that holds for all of its threads. Which signals are blocked and which are pending in the caller is
  /// afterwards as it was before.
  void write_message(std::string_view message) {
    (void)message;  // take this line out once you use it
    interleave::not_done();
  }
};

/// The receiving end, for one thread at a time. It may read ahead, so there is one reader for a descriptor.
class FrameReader {
 public:
  /// `largest` is the length of the longest message to be accepted, in bytes.
  FrameReader(int descriptor, std::size_t largest) {
    (void)descriptor, (void)largest;  // take this line out once you use them
    interleave::not_done();
  }

  /// Returns the next message, or nothing if the stream ended after a whole message or before the first.
  ///
  /// Throws
  /// - TruncatedMessage if the stream ended elsewhere;
  /// - OversizedMessage if the length is more than `largest`, whatever it is;
  /// - std::system_error with the error of read(2).
  /// Where the next message begins is not known then: every later call throws the same again.
  ///
  /// A length is only what the peer says. The memory that is taken follows the bytes that have come: at no time more
  /// than four times as much, and 16 MiB.
  std::optional<std::string> read_message() { interleave::not_done(); }
};
