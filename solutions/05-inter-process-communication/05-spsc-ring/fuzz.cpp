// Whatever bytes a peer has put into the memory, and whatever it writes there later, SpscRing attaches to a ring and to
// nothing else, and touches nothing outside of it.
//
// The first byte of an input says how many of the bytes behind it are steps; the rest is the memory. The files in
// corpus/ were written by hand: a ring that is empty, one that is full, one whose counters are about to begin again at
// 0, each with one number changed, and steps that fill it, drain it and write into it.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <spsc_ring.hpp>
#include <stdexcept>

namespace {

using Ring = SpscRing<std::uint64_t>;

void must(bool holds) {
  if (!holds) std::abort();
}

// Memory of just this size, so that AddressSanitizer sees each byte outside of it.
struct Memory {
  std::span<std::byte> bytes;
  explicit Memory(std::size_t size) : bytes(new (std::align_val_t(64)) std::byte[size]{}, size) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::operator delete[](bytes.data(), std::align_val_t(64)); }

  std::uint64_t word(std::size_t offset) const {
    std::uint64_t value = 0;
    std::memcpy(&value, &bytes[offset], sizeof(value));
    return value;
  }
};

// What the specification leaves open: the first number, and where the counters are in a ring of `capacity`.
struct Layout {
  std::uint64_t magic;
  std::size_t pushed, popped;
};

Layout layout_of(std::size_t capacity) {
  constexpr std::uint64_t start = 0x1234'5678;
  Memory memory(Ring::bytes_for(capacity));
  Ring ring = Ring::create(memory.bytes, capacity, start);
  // The word that has been counted up, besides the one at `known`.
  auto counted = [&](std::size_t known) {
    std::size_t at = 24;
    while (at == known || memory.word(at) != start + 1) at += 8;
    return at;
  };
  Layout layout{memory.word(0), 0, 0};
  std::uint64_t message = 0;
  ring.try_push(message);
  layout.pushed = counted(0);
  ring.try_pop(message);
  layout.popped = counted(layout.pushed);
  return layout;
}

bool is_ring(const Memory& memory) {
  if (memory.bytes.size() < 24 || memory.word(0) != layout_of(1).magic || memory.word(8) != 8) return false;
  std::uint64_t capacity = memory.word(16);
  if (capacity == 0 || (capacity & (capacity - 1)) != 0 || capacity > memory.bytes.size()) return false;
  if (Ring::bytes_for(capacity) > memory.bytes.size()) return false;
  Layout layout = layout_of(capacity);
  return memory.word(layout.pushed) - memory.word(layout.popped) <= capacity;
}

void step_through(Ring ring, const Memory& memory, std::span<const std::uint8_t> steps) {
  std::uint64_t message = 0;
  while (!steps.empty()) {
    std::uint8_t step = steps[0];
    steps = steps.subspan(1);
    try {
      if (step % 3 == 0) ring.try_push(message);
      if (step % 3 == 1) ring.try_pop(message);
    } catch (const std::runtime_error&) {
      // The peer has written a number that is impossible.
    }
    if (step % 3 == 2 && steps.size() >= 9) {
      std::size_t words = memory.bytes.size() / 8;
      std::memcpy(&memory.bytes[steps[0] % words * 8], &steps[1], 8);
      steps = steps.subspan(9);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::span<const std::uint8_t> input(data + 1, size - 1);
  auto steps = input.first(data[0] < input.size() ? data[0] : input.size());
  auto content = input.subspan(steps.size());
  Memory memory(content.size());
  if (!content.empty()) std::memcpy(memory.bytes.data(), content.data(), content.size());

  bool expected = is_ring(memory);
  bool attached = true;
  try {
    step_through(Ring::attach(memory.bytes), memory, steps);
  } catch (const std::invalid_argument&) {
    attached = false;
  }
  must(attached == expected);
  return 0;
}
