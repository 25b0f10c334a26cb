#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace interleave {

/// How a test program tells its supervisor what happened: records in memory that both have mapped.
///
/// A mapping, and not a pipe, because it survives a learner's program that closes every descriptor, needs no system
/// call, can be written from any thread, child process or fork, and is still there after a crash.
///
/// A record is one JSON object. Appending is lock-free and safe from several threads and processes at once, any of
/// which may be killed at any instruction: who claims a place says in the same step how far it reaches, so nobody waits
/// for him, and a record counts once it is complete.
///
/// The memory can be found by whoever looks for it, so each record carries a seal (SipHash-2-4, Aumasson and Bernstein,
/// INDOCRYPT 2012) by a key that the two ends alone have: attach() takes it out of the memory.
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

  /// Appends one record, which is not empty. One that does not fit any more is dropped.
  void append(std::string_view record);

  /// Calls `visit` for each record that has become complete since the last call, in the order of their places; a record
  /// that takes its writer long comes after others. From one thread. False: some had a wrong seal, and were passed over.
  [[nodiscard]] bool read(const std::function<void(std::string_view)>& visit);

  using Key = std::array<std::uint64_t, 2>;

 private:
  struct Memory;
  ResultsChannel(Memory* memory, int descriptor, Key key) : memory_(memory), descriptor_(descriptor), key_(key) {}

  Memory* memory_;
  int descriptor_;
  Key key_;
  std::size_t read_to_ = 0;              // as far as places were claimed
  std::vector<std::size_t> incomplete_;  // before that
};

}  // namespace interleave
