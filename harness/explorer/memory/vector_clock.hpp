#pragma once

#include <cstdint>
#include <cstring>

namespace explorer {

/// The most threads of one schedule, the body's included.
inline constexpr int max_threads = 128;

/// How much of each thread's past is known to happen before a point (Fidge and Mattern; FastTrack, PLDI 2009). Only the
/// entries of the threads that exist are ever touched: `width` of them, in blocks of eight.
struct VectorClock {
  alignas(32) std::uint32_t time[max_threads];

  static int blocks(int threads) { return (threads + 7) & ~7; }

  void clear(int width) { std::memset(time, 0, static_cast<std::size_t>(width) * sizeof(time[0])); }
  void copy(const VectorClock& other, int width) {
    std::memcpy(time, other.time, static_cast<std::size_t>(width) * sizeof(time[0]));
  }
  void join(const VectorClock& other, int width) {
    for (int i = 0; i < width; i += 8) {
      for (int j = i; j < i + 8; ++j) time[j] = time[j] < other.time[j] ? other.time[j] : time[j];
    }
  }
};

}  // namespace explorer
