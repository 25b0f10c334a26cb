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

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

/// The stream ended in the middle of a message: the peer has gone before it had written all of it.
struct TruncatedMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A message is longer than the reader allows, or what was read is no length at all.
struct OversizedMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// While it lives, SIGPIPE is blocked in this thread; the one that write(2) raised is taken back.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  /// Call it when write(2) has failed with EPIPE: it has sent SIGPIPE to this thread.
  void take_back() const {
    if (was_pending_) return;  // one that was there before is the caller's, and a second one is not kept
    timespec at_once{};
    while (::sigtimedwait(&sigpipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }

 private:
  sigset_t sigpipe_, before_;
  bool was_pending_;
};

inline constexpr std::size_t length_bytes = 8;

/// Sleeps until a non-blocking descriptor is ready, or a signal was handled: the caller tries again either way.
inline void wait_for(int descriptor, short event) {
  pollfd ready{descriptor, event, 0};
  if (::poll(&ready, 1, -1) < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
}

/// The sending end. write_message() may be called by several threads at once.
class FrameWriter {
 public:
  explicit FrameWriter(int descriptor) : descriptor_(descriptor) {}

  /// Returns when the message is written, all of it, with no byte of another thread's message in between. Waits for
  /// nobody who writes to another descriptor.
  ///
  /// Throws std::system_error with the error of write(2): EPIPE if the other end is closed. SIGPIPE is not delivered
  /// then, whatever the process has arranged for it. What the process does on a signal is not changed, not even for a
  /// moment, for that holds for all of its threads. Which signals are blocked and which are pending in the caller is
  /// afterwards as it was before.
  void write_message(std::string_view message) {
    std::array<char, length_bytes> length;
    for (std::size_t i = 0; i < length_bytes; ++i) {
      length[i] = static_cast<char>(std::uint64_t{message.size()} >> (8 * i));
    }
    // One lock around both parts and all their pieces: beyond PIPE_BUF bytes even one write() is no unit.
    std::lock_guard lock(mutex_);
    write_all({length.data(), length.size()});
    write_all(message);
  }

 private:
  void write_all(std::string_view bytes) {
    NoSigpipe no_sigpipe;
    while (!bytes.empty()) {
      ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
      if (count >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(count));
        continue;
      }
      int error = errno;
      if (error == EPIPE) no_sigpipe.take_back();
      if (error == EAGAIN) {
        wait_for(descriptor_, POLLOUT);
      } else if (error != EINTR) {
        throw std::system_error(error, std::generic_category(), "write_message");
      }
    }
  }

  int descriptor_;
  std::mutex mutex_;
};

/// The receiving end, for one thread at a time. It may read ahead, so there is one reader for a descriptor.
class FrameReader {
 public:
  /// `largest` is the length of the longest message to be accepted, in bytes.
  FrameReader(int descriptor, std::size_t largest) : descriptor_(descriptor), largest_(largest) {}

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
  std::optional<std::string> read_message() {
    if (failure_) std::rethrow_exception(failure_);
    try {
      return read_next();
    } catch (...) {
      failure_ = std::current_exception();
      throw;
    }
  }

 private:
  static constexpr std::size_t piece = std::size_t{64} << 10;

  std::optional<std::string> read_next() {
    std::array<char, length_bytes> bytes;
    std::size_t had = read_up_to(bytes.data(), bytes.size());
    if (had == 0) return std::nullopt;
    if (had < bytes.size()) throw TruncatedMessage("read_message: the stream ended in the middle of a length");
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) {
      length |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    if (length > largest_) {
      throw OversizedMessage("read_message: a message of " + std::to_string(length) + " bytes; " +
                             std::to_string(largest_) + " are allowed");
    }

    std::string message;
    while (message.size() < length) {
      std::size_t before = message.size();
      std::size_t step = std::min(static_cast<std::size_t>(length) - before, piece);
      message.resize(before + step);
      if (read_up_to(message.data() + before, step) < step) {
        throw TruncatedMessage("read_message: the stream ended in the middle of a message");
      }
    }
    return message;
  }

  /// Reads `size` bytes, or as many as come before the end of the stream; returns how many.
  std::size_t read_up_to(char* to, std::size_t size) {
    std::size_t had = 0;
    while (had < size) {
      ssize_t count = ::read(descriptor_, to + had, size - had);
      if (count == 0) break;
      if (count > 0) {
        had += static_cast<std::size_t>(count);
      } else if (errno == EAGAIN) {
        wait_for(descriptor_, POLLIN);
      } else if (errno != EINTR) {
        throw std::system_error(errno, std::generic_category(), "read_message");
      }
    }
    return had;
  }

  int descriptor_;
  std::size_t largest_;
  std::exception_ptr failure_;
};
