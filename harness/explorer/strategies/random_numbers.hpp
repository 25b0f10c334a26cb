#pragma once

#include <cstdint>

namespace explorer {

/// xorshift64* (Vigna, 2016): small, fast, the same everywhere.
class RandomNumbers {
 public:
  void seed(std::uint64_t seed, std::uint64_t stream) {
    state_ = (seed * 0x9E3779B97F4A7C15ULL) ^ ((stream + 1) * 0xD1B54A32D192ED03ULL);
    if (state_ == 0) state_ = 1;
    for (int i = 0; i < 4; ++i) next();
  }
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 0x2545F4914F6CDD1DULL) >> 16;
  }
  std::uint64_t below(std::uint64_t n) { return ((next() & 0xFFFFFFFF) * n) >> 32; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_ = 1;
};

/// How the strategies that draw lots choose a value: mostly what happens when nothing goes out of its way, but any
/// waiter is as good as another.
enum class ValueKind : std::uint8_t;
int draw_value(RandomNumbers& random, int n, ValueKind kind);

}  // namespace explorer
