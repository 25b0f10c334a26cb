// Has the slots in the middle and a cache line for each counter behind them, reached by offsets, with the compiler's
// atomic built-ins in their strongest order; it looks again only when it has used up what it knew.

#pragma once

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
    if (capacity == 0 || (capacity & (capacity - 1)) != 0) throw std::invalid_argument("SpscRing: no power of two");
    std::size_t slots = 0;
    if (__builtin_mul_overflow(capacity, sizeof(Message), &slots) || slots > SIZE_MAX - 4 * line)
      throw std::invalid_argument("SpscRing: more than any memory");
    return counters_at(slots) + 2 * line;
  }

  static SpscRing create(std::span<std::byte> memory, std::size_t capacity, std::uint64_t start = 0) {
    SpscRing ring(memory, capacity);
    auto* header = reinterpret_cast<std::uint64_t*>(ring.memory_);
    __atomic_exchange_n(&header[0], 0, __ATOMIC_SEQ_CST);
    header[1] = sizeof(Message);
    header[2] = capacity;
    store(ring.pushed_at_, start);
    store(ring.popped_at_, start);
    store(&header[0], magic);
    return attach(memory);
  }

  static SpscRing attach(std::span<std::byte> memory) {
    if (memory.size() < line) throw std::invalid_argument("SpscRing: too small");
    check_alignment(memory);
    auto* header = reinterpret_cast<std::uint64_t*>(memory.data());
    if (load(&header[0]) != magic || load(&header[1]) != sizeof(Message))
      throw std::invalid_argument("SpscRing: no ring of such messages");
    SpscRing ring(memory, load(&header[2]));
    ring.popped_ = load(ring.popped_at_);
    ring.pushed_ = load(ring.pushed_at_);
    if (ring.pushed_ - ring.popped_ > ring.capacity_) throw std::invalid_argument("SpscRing: impossible counters");
    ring.room_ = ring.capacity_ - (ring.pushed_ - ring.popped_);
    ring.there_ = ring.pushed_ - ring.popped_;
    return ring;
  }

  std::size_t capacity() const { return capacity_; }

  bool try_push(const Message& message) {
    if (room_ == 0) {
      std::uint64_t used = pushed_ - load(popped_at_);
      if (used > capacity_) throw std::runtime_error("SpscRing: impossible counter of the consumer");
      room_ = capacity_ - used;
      if (room_ == 0) return false;
    }
    std::memcpy(slot(pushed_), &message, sizeof(Message));
    --room_;
    store(pushed_at_, ++pushed_);
    return true;
  }

  bool try_pop(Message& message) {
    if (there_ == 0) {
      std::uint64_t there = load(pushed_at_) - popped_;
      if (there > capacity_) throw std::runtime_error("SpscRing: impossible counter of the producer");
      there_ = there;
      if (there_ == 0) return false;
    }
    std::memcpy(&message, slot(popped_), sizeof(Message));
    --there_;
    store(popped_at_, ++popped_);
    return true;
  }

 private:
  static constexpr std::size_t line = 64;
  static constexpr std::uint64_t magic = 0x5350'5343'2d52'4e47;

  // The header has the first line, the slots follow, then the two counters.
  static std::size_t counters_at(std::size_t slots) { return line + (slots + line - 1) / line * line; }

  SpscRing(std::span<std::byte> memory, std::size_t capacity) : memory_(memory.data()), capacity_(capacity) {
    check_alignment(memory);
    if (memory.size() < bytes_for(capacity)) throw std::invalid_argument("SpscRing: too small");
    std::byte* counters = memory_ + counters_at(capacity * sizeof(Message));
    pushed_at_ = reinterpret_cast<std::uint64_t*>(counters);
    popped_at_ = reinterpret_cast<std::uint64_t*>(counters + line);
  }

  static void check_alignment(std::span<std::byte> memory) {
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % line != 0)
      throw std::invalid_argument("SpscRing: not at a multiple of 64");
  }
  static std::uint64_t load(const std::uint64_t* counter) { return __atomic_load_n(counter, __ATOMIC_SEQ_CST); }
  static void store(std::uint64_t* counter, std::uint64_t value) { __atomic_store_n(counter, value, __ATOMIC_SEQ_CST); }
  std::byte* slot(std::uint64_t count) const { return memory_ + line + (count % capacity_) * sizeof(Message); }

  std::byte* memory_;
  std::size_t capacity_;
  std::uint64_t *pushed_at_, *popped_at_;
  std::uint64_t pushed_ = 0, popped_ = 0;
  std::uint64_t room_ = 0, there_ = 0;  // at least, by what it saw of the other side last
};
