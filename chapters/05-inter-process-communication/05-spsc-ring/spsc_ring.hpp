#pragma once

// 5.5 spsc-ring: pass messages from one process to another through memory that both have mapped, without a lock.
//
// Python has nothing like it: `multiprocessing.Queue` is a pipe with a lock at either end.

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "exercise/not_done.hpp"

/// One end of a ring with room for `capacity` messages, first in, first out. One process makes the ring, others attach.
/// All of its state that the two ends need to know of each other lies in the memory; nothing there is an address, for
/// each process has the memory at another one.
///
/// An object belongs to one thread. Of all the threads of all processes one pushes and one pops, each with its own
/// object (or one thread does both, with one). Whoever goes on in place of another, who may have died, attaches anew.
///
/// The memory begins with three numbers of 8 bytes: one of your choice but not 0, by which attach() knows a ring;
/// sizeof(Message); the capacity. Somewhere behind them are two counters of 8 bytes, at multiples of 8: how many
/// messages were ever pushed and popped. Both begin at `start` and go on with 0 after 2^64 - 1.
///
/// No push and no pop waits for the other side, or makes a system call: each ends after a bounded number of its own
/// steps, wherever the other side stands, is stopped, or was killed. What one side writes is never on a cache line (64
/// bytes) with anything that the other side writes.
///
/// The other side may be killed at any instruction. A message whose push has not come to its end may be missing, but no
/// message is ever seen in part. None is lost by a consumer that was killed before its try_pop() had the message.
template <typename Message>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<Message>, "a message is copied byte by byte");
  static_assert(alignof(Message) <= 64);

 public:
  /// The bytes of memory that a ring needs. `capacity` is a power of two, 1 or more; anything else, and a ring that no
  /// memory could hold, throws std::invalid_argument.
  static std::size_t bytes_for(std::size_t capacity) {
    (void)capacity;  // take this line out once you use it
    interleave::not_done();
  }

  /// Makes an empty ring in `memory`, whatever was there before. A process that is killed in here leaves what attach()
  /// refuses, or the ring that was there before, or the new one: nothing in between.
  ///
  /// Throws std::invalid_argument for a capacity as in bytes_for(), for memory that is smaller than bytes_for(), and
  /// for memory that does not begin at a multiple of 64.
  static SpscRing create(std::span<std::byte> memory, std::size_t capacity, std::uint64_t start = 0) {
    (void)memory, (void)capacity, (void)start;  // take this line out once you use them
    interleave::not_done();
  }

  /// Attaches to the ring in `memory`, which may be larger than the ring. Throws std::invalid_argument if there is
  /// none: for any bytes that create() of the same Message does not leave, as far as the three numbers and the two
  /// counters tell, for a ring that `memory` is too small for, and for memory that does not begin at a multiple of 64.
  static SpscRing attach(std::span<std::byte> memory) {
    (void)memory;  // take this line out once you use it
    interleave::not_done();
  }

  std::size_t capacity() const { interleave::not_done(); }

  /// Appends a message. False, and nothing has changed, if the ring is full.
  ///
  /// The other side may write anything into the memory, at any time. Neither try_push() nor try_pop() then touches
  /// anything outside of the ring's bytes. Where it looks at the other side's counter, and the ring would hold less
  /// than no message or more than its capacity, it throws std::runtime_error; try_push() looks when the ring would be
  /// full without that at the latest, try_pop() when it would be empty.
  bool try_push(const Message& message) {
    (void)message;  // take this line out once you use it
    interleave::not_done();
  }

  /// Takes the oldest message. False, and `message` is as before, if the ring is empty.
  bool try_pop(Message& message) {
    (void)message;  // take this line out once you use it
    interleave::not_done();
  }
};
