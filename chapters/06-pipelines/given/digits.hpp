#pragma once

// A small neural network that tells which digit is drawn: the CPU-bound work of this chapter. How it was trained, and
// on what, is in model/README.md.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// A drawing has 28 rows of 28 pixels, from 0 for paper to 255 for ink. Wherever on it the digit is, and however large.
inline constexpr std::size_t drawing_side = 28;
inline constexpr std::size_t drawing_pixels = drawing_side * drawing_side;

/// How likely it is that the drawing is a 0, a 1, ..., a 9: ten numbers that add up to 1, all the same if there is
/// nothing on it.
///
/// The network looks at `copies` copies of the drawing, of which all but the first are shifted and rotated a little,
/// and the answer is the mean. So twice as many copies take twice as long. It is this thread alone that computes, and
/// the answer depends on the arguments only. Any number of threads and processes may call this at the same time.
///
/// Throws std::invalid_argument if there are not drawing_pixels pixels, or less than 1 copy.
std::array<float, 10> classify(std::span<const std::uint8_t> pixels, int copies = 1);
