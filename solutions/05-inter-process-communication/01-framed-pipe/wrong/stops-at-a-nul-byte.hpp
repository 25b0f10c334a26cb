// Takes the message for a C string and sends it up to the first NUL byte: every text arrives, but an image ends after a
// few bytes.
// caught: plain, FrameWriter.WritesTheLengthInEightBytesAndThenTheMessage, wrong answer

#pragma once

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

struct TruncatedMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct OversizedMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

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

inline void wait_for(int descriptor, short event) {
  pollfd ready{descriptor, event, 0};
  if (::poll(&ready, 1, -1) < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
}

class FrameWriter {
 public:
  explicit FrameWriter(int descriptor) : descriptor_(descriptor) {}

  void write_message(std::string_view message) {
    std::array<char, length_bytes> length;
    message = std::string_view(message.data(), ::strnlen(message.data(), message.size()));
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

class FrameReader {
 public:
  FrameReader(int descriptor, std::size_t largest) : descriptor_(descriptor), largest_(largest) {}

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
