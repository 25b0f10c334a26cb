// Leaves it to the caller that the capacity is a power of two: the mask of a capacity of 6 leads to four slots of the
// six, and two messages share one.
// caught: plain, SpscRing.RefusesACapacityThatIsNoPowerOfTwo, wrong answer

#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <type_traits>

template <typename Message>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<Message>, "a message is copied byte by byte");
  static_assert(alignof(Message) <= 64);

 public:
  static std::size_t bytes_for(std::size_t capacity) {
    if (capacity > (SIZE_MAX - sizeof(Header)) / sizeof(Message)) throw std::invalid_argument("SpscRing: too large");
    return sizeof(Header) + capacity * sizeof(Message);
  }

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
