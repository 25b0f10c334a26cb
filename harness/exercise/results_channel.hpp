#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace interleave {

/// How a test program tells its supervisor what happened: records in memory that both have mapped.
///
/// A mapping, and not a pipe, because it survives a learner's program that closes every descriptor, needs no system
/// call, can be written from any thread, child process or fork, and is still there after a crash.
///
/// A record is one JSON object. Appending is lock-free and safe from several threads and processes at once: space is
/// reserved by one fetch_add, and a record counts once its `state` says so, so a writer that is killed half way
/// leaves a hole that readers skip.
class ResultsChannel {
 public:
  /// The environment variable that carries the descriptor's number to the test program.
  static constexpr const char* environment_variable = "INTERLEAVE_RESULTS_FD";
  static constexpr std::size_t capacity = std::size_t{4} << 20;  // bytes

  /// Makes a new channel (memfd_create(2)); the descriptor is owned by the channel and is close-on-exec.
  /// Throws std::system_error.
  static ResultsChannel create();

  /// Maps the channel behind `descriptor`, and closes the descriptor. Throws std::system_error.
  static ResultsChannel attach(int descriptor);

  ResultsChannel(ResultsChannel&& other) noexcept;
  ResultsChannel& operator=(ResultsChannel&&) = delete;
  ~ResultsChannel();

  /// The descriptor, or -1 for a channel that was attached.
  int descriptor() const { return descriptor_; }

  /// Appends one record. A record that does not fit any more is dropped.
  void append(std::string_view record);

  /// Calls `visit` for each complete record after the first `offset` bytes, in order of reservation, and returns
  /// the offset to go on from. Stops at the first record that is not complete unless `skip_incomplete`.
  std::size_t read(std::size_t offset, const std::function<void(std::string_view)>& visit,
                   bool skip_incomplete = false) const;

 private:
  struct Memory;
  ResultsChannel(Memory* memory, int descriptor) : memory_(memory), descriptor_(descriptor) {}

  Memory* memory_;
  int descriptor_;
};

}  // namespace interleave
