#pragma once

// Random numbers for samples: what a sample gets depends on the seed, the epoch and its index in the data set alone, so
// it does not matter which worker draws it, and in which order.

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

/// SplitMix64 (Steele, Lea, Flood 2014), started from three numbers. Ten lines of Python give the same numbers.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) : state_(seed) {
    for (std::uint64_t number : {epoch, index}) state_ = (*this)() ^ number;
  }

  std::uint64_t operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  /// One of 0, 1, ..., count - 1. `count` is 1 to 2^32.
  std::uint64_t below(std::uint64_t count) { return ((*this)() >> 32) * count >> 32; }

 private:
  std::uint64_t state_;
};

/// The indices 0, 1, ..., samples - 1 in the order of an epoch: shuffled (Fisher and Yates), each epoch in another way.
inline std::vector<std::size_t> epoch_order(std::size_t samples, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::size_t> order(samples);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(seed, epoch, ~std::uint64_t{0});  // the index of no sample
  for (std::size_t left = samples; left > 1; --left) std::swap(order[left - 1], order[random.below(left)]);
  return order;
}
