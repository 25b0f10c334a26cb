// Looks at both counters in the memory each time, in place of remembering what it saw: shorter, and each look at the
// counter of the other side fetches its cache line.

#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <type_traits>

template <typename Message>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<Message>, "a message is copied byte by byte");
  static_assert(alignof(Message) <= 64);

 public:
  static std::size_t bytes_for(std::size_t capacity) {
    if (!std::has_single_bit(capacity)) throw std::invalid_argument("SpscRing: the capacity is not a power of two");
    if (capacity > (SIZE_MAX - sizeof(Header)) / sizeof(Message)) throw std::invalid_argument("SpscRing: too large");
    return sizeof(Header) + capacity * sizeof(Message);
  }

  static SpscRing create(std::span<std::byte> memory, std::size_t capacity, std::uint64_t start = 0) {
    if (memory.size() < bytes_for(capacity)) throw std::invalid_argument("SpscRing: the memory is too small");
    Header& header = header_in(memory);
    // No ring at all while it is neither the old one nor the new one. An exchange, so that nothing moves before it.
    header.magic.exchange(0);
    header.message_size = sizeof(Message);
    header.capacity = capacity;
    header.pushed = start;
    header.popped = start;
    header.magic.store(magic);
    return SpscRing(header, capacity);
  }

  static SpscRing attach(std::span<std::byte> memory) {
    if (memory.size() < sizeof(Header)) throw std::invalid_argument("SpscRing: the memory is too small for any ring");
    Header& header = header_in(memory);
    if (header.magic.load() != magic) throw std::invalid_argument("SpscRing: there is no ring in this memory");
    if (header.message_size != sizeof(Message))
      throw std::invalid_argument("SpscRing: this ring has messages of another size");
    // Each is read once. The other side could change it between two looks.
    std::size_t capacity = *const_cast<const volatile std::uint64_t*>(&header.capacity);
    if (memory.size() < bytes_for(capacity)) throw std::invalid_argument("SpscRing: the memory is too small");
    std::uint64_t popped = header.popped;
    std::uint64_t pushed = header.pushed;
    if (pushed - popped > capacity) throw std::invalid_argument("SpscRing: the counters are not those of a ring");
    return SpscRing(header, capacity);
  }

  std::size_t capacity() const { return capacity_; }

  bool try_push(const Message& message) {
    std::uint64_t popped = header_->popped.load(std::memory_order_acquire);
    std::uint64_t pushed = header_->pushed.load(std::memory_order_relaxed);
    if (pushed - popped > capacity_) throw std::runtime_error("SpscRing: the counters are impossible");
    if (pushed - popped == capacity_) return false;
    slots_[pushed % capacity_] = message;
    header_->pushed.store(pushed + 1, std::memory_order_release);
    return true;
  }

  bool try_pop(Message& message) {
    std::uint64_t pushed = header_->pushed.load(std::memory_order_acquire);
    std::uint64_t popped = header_->popped.load(std::memory_order_relaxed);
    if (pushed - popped > capacity_) throw std::runtime_error("SpscRing: the counters are impossible");
    if (pushed == popped) return false;
    message = slots_[popped % capacity_];
    header_->popped.store(popped + 1, std::memory_order_release);
    return true;
  }

 private:
  static constexpr std::size_t cache_line = 64;
  static constexpr std::uint64_t magic = 0x474e4952'43535053;  // "SPSCRING"

  // What the memory begins with; the slots follow. The two counters and the slots are on cache lines of their own, or
  // each write of one side would take from the other side the line that it is about to use.
  struct alignas(cache_line) Header {
    std::atomic<std::uint64_t> magic;
    std::uint64_t message_size, capacity;
    alignas(cache_line) std::atomic<std::uint64_t> pushed;
    alignas(cache_line) std::atomic<std::uint64_t> popped;
  };

  SpscRing(Header& header, std::uint64_t capacity)
      : header_(&header), slots_(reinterpret_cast<Message*>(&header + 1)), capacity_(capacity) {}

  static Header& header_in(std::span<std::byte> memory) {
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % cache_line != 0)
      throw std::invalid_argument("SpscRing: the memory does not begin at a multiple of 64");
    return *reinterpret_cast<Header*>(memory.data());
  }

  Header* header_;
  Message* slots_;
  std::uint64_t capacity_;  // not the one in the memory, which the other side may overwrite
};
