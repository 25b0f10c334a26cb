#pragma once

// 5.5 spsc-ring: pass messages from one process to another through memory that both have mapped, without a lock.
//
// Python has nothing like it: `multiprocessing.Queue` is a pipe with a lock at either end.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <type_traits>

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
    if (!std::has_single_bit(capacity)) throw std::invalid_argument("SpscRing: the capacity is not a power of two");
    if (capacity > (SIZE_MAX - sizeof(Header)) / sizeof(Message)) throw std::invalid_argument("SpscRing: too large");
    return sizeof(Header) + capacity * sizeof(Message);
  }

  /// Makes an empty ring in `memory`, whatever was there before. A process that is killed in here leaves what attach()
  /// refuses, or the ring that was there before, or the new one: nothing in between.
  ///
  /// Throws std::invalid_argument for a capacity as in bytes_for(), for memory that is smaller than bytes_for(), and
  /// for memory that does not begin at a multiple of 64.
  static SpscRing create(std::span<std::byte> memory, std::size_t capacity, std::uint64_t start = 0) {
    if (memory.size() < bytes_for(capacity)) throw std::invalid_argument("SpscRing: the memory is too small");
    Header& header = header_in(memory);
    // No ring at all while it is neither the old one nor the new one. An exchange, so that nothing moves before it.
    std::atomic_ref(header.magic).exchange(0, std::memory_order_acq_rel);
    header.message_size = sizeof(Message);
    header.capacity = capacity;
    header.pushed = start;
    header.popped = start;
    std::atomic_ref(header.magic).store(magic, std::memory_order_release);
    return SpscRing(header, capacity, start, start);
  }

  /// Attaches to the ring in `memory`, which may be larger than the ring. Throws std::invalid_argument if there is
  /// none: for any bytes that create() of the same Message does not leave, as far as the three numbers and the two
  /// counters tell, for a ring that `memory` is too small for, and for memory that does not begin at a multiple of 64.
  static SpscRing attach(std::span<std::byte> memory) {
    if (memory.size() < sizeof(Header)) throw std::invalid_argument("SpscRing: the memory is too small for any ring");
    Header& header = header_in(memory);
    if (std::atomic_ref(header.magic).load(std::memory_order_acquire) != magic)
      throw std::invalid_argument("SpscRing: there is no ring in this memory");
    if (header.message_size != sizeof(Message))
      throw std::invalid_argument("SpscRing: this ring has messages of another size");
    // Each is read once. The other side could change it between two looks.
    auto capacity = std::atomic_ref(header.capacity).load(std::memory_order_relaxed);
    if (memory.size() < bytes_for(capacity)) throw std::invalid_argument("SpscRing: the memory is too small");
    auto popped = std::atomic_ref(header.popped).load(std::memory_order_acquire);
    auto pushed = std::atomic_ref(header.pushed).load(std::memory_order_acquire);
    if (pushed - popped > capacity) throw std::invalid_argument("SpscRing: the counters are not those of a ring");
    return SpscRing(header, capacity, pushed, popped);
  }

  std::size_t capacity() const { return capacity_; }

  /// Appends a message. False, and nothing has changed, if the ring is full.
  ///
  /// The other side may write anything into the memory, at any time. Neither try_push() nor try_pop() then touches
  /// anything outside of the ring's bytes. Where it looks at the other side's counter, and the ring would hold less
  /// than no message or more than its capacity, it throws std::runtime_error; try_push() looks when the ring would be
  /// full without that at the latest, try_pop() when it would be empty.
  bool try_push(const Message& message) {
    if (pushed_ - popped_seen_ == capacity_) {
      std::uint64_t popped = std::atomic_ref(header_->popped).load(std::memory_order_acquire);
      if (pushed_ - popped > capacity_) throw std::runtime_error("SpscRing: the counter of the consumer is impossible");
      popped_seen_ = popped;
      if (pushed_ - popped == capacity_) return false;
    }
    std::memcpy(slot(pushed_), &message, sizeof(Message));
    std::atomic_ref(header_->pushed).store(++pushed_, std::memory_order_release);
    return true;
  }

  /// Takes the oldest message. False, and `message` is as before, if the ring is empty.
  bool try_pop(Message& message) {
    if (popped_ == pushed_seen_) {
      std::uint64_t pushed = std::atomic_ref(header_->pushed).load(std::memory_order_acquire);
      if (pushed - popped_ > capacity_) throw std::runtime_error("SpscRing: the counter of the producer is impossible");
      pushed_seen_ = pushed;
      if (pushed == popped_) return false;
    }
    std::memcpy(&message, slot(popped_), sizeof(Message));
    std::atomic_ref(header_->popped).store(++popped_, std::memory_order_release);
    return true;
  }

 private:
  static constexpr std::size_t cache_line = 64;
  static constexpr std::uint64_t magic = 0x474e4952'43535053;  // "SPSCRING"

  // What the memory begins with; the slots follow. The two counters and the slots are on cache lines of their own, or
  // each write of one side would take from the other side the line that it is about to use.
  struct alignas(cache_line) Header {
    std::uint64_t magic, message_size, capacity;
    alignas(cache_line) std::uint64_t pushed;  // by the producer; published after the message
    alignas(cache_line) std::uint64_t popped;  // by the consumer; published after the message was copied
  };

  SpscRing(Header& header, std::uint64_t capacity, std::uint64_t pushed, std::uint64_t popped)
      : header_(&header),
        slots_(reinterpret_cast<std::byte*>(&header + 1)),
        capacity_(capacity),
        pushed_(pushed),
        popped_seen_(popped),
        popped_(popped),
        pushed_seen_(pushed) {}

  static Header& header_in(std::span<std::byte> memory) {
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % cache_line != 0)
      throw std::invalid_argument("SpscRing: the memory does not begin at a multiple of 64");
    return *reinterpret_cast<Header*>(memory.data());
  }

  std::byte* slot(std::uint64_t count) const { return slots_ + (count & (capacity_ - 1)) * sizeof(Message); }

  Header* header_;
  std::byte* slots_;
  std::uint64_t capacity_;  // not the one in the memory, which the other side may overwrite
  // Each side knows its own counter best, and of the other's what it saw when it last had to look. While there is room,
  // or a message, by that knowledge, it does not touch the other side's cache line.
  std::uint64_t pushed_, popped_seen_;
  std::uint64_t popped_, pushed_seen_;
};
