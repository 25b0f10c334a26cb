#include <given/digits.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace {

struct Example {
  int label;
  std::vector<std::uint8_t> drawing;
};

// model/heldout.bin as model/README.md describes it: scans first, then drawings.
constexpr std::size_t scan_count = 360;
constexpr std::size_t drawing_count = 40;

const std::vector<Example>& examples() {
  static const std::vector<Example> all = [] {
    std::ifstream file(INTERLEAVE_HELD_OUT_DIGITS, std::ios::binary);
    std::vector<Example> read;
    std::array<char, 1 + drawing_pixels / 2> record{};
    while (file.read(record.data(), record.size())) {
      Example example{record[0], {}};
      for (std::size_t i = 1; i < record.size(); ++i) {
        const auto pair = static_cast<std::uint8_t>(record[i]);
        example.drawing.push_back(static_cast<std::uint8_t>((pair >> 4) * 17));
        example.drawing.push_back(static_cast<std::uint8_t>((pair & 15) * 17));
      }
      read.push_back(example);
    }
    return read;
  }();
  return all;
}

int best(const std::array<float, 10>& likely) {
  return static_cast<int>(std::max_element(likely.begin(), likely.end()) - likely.begin());
}

// The share of right answers.
double accuracy(std::size_t first, std::size_t count, int copies) {
  int right = 0;
  for (std::size_t i = first; i < first + count; ++i) {
    right += best(classify(examples()[i].drawing, copies)) == examples()[i].label;
  }
  return right / static_cast<double>(count);
}

std::vector<std::uint8_t> moved(const std::vector<std::uint8_t>& drawing, int right, int down) {
  std::vector<std::uint8_t> result(drawing_pixels);
  const int side = static_cast<int>(drawing_side);
  for (int y = std::max(down, 0); y < std::min(side, side + down); ++y) {
    for (int x = std::max(right, 0); x < std::min(side, side + right); ++x) {
      result[static_cast<std::size_t>(y * side + x)] = drawing[static_cast<std::size_t>((y - down) * side + x - right)];
    }
  }
  return result;
}

TEST(Classify, TellsHeldOutDigitsApart) {
  ASSERT_EQ(examples().size(), scan_count + drawing_count);
  for (int copies : {1, 4, 16, 40}) {
    const double share = accuracy(0, scan_count, copies);
    std::printf("%d copies: %.2f %% of %zu held-out digits\n", copies, 100 * share, scan_count);
    EXPECT_GE(share, 0.97) << "with " << copies << " copies";
  }
}

TEST(Classify, TellsDrawingsOfAFingerApart) {
  for (int copies : {1, 16}) EXPECT_EQ(accuracy(scan_count, drawing_count, copies), 1.0) << copies;
}

TEST(Classify, DoesNotMindWhereTheDigitIs) {
  const Example& example = examples()[scan_count + 4 * 7];
  const auto here = classify(example.drawing, 3), there = classify(moved(example.drawing, 3, -2), 3);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_NEAR(here[i], there[i], 1e-5);
}

TEST(Classify, GivesProbabilitiesThatDoNotDependOnWhatWasAskedBefore) {
  const auto first = classify(examples()[0].drawing, 37);
  EXPECT_NEAR(std::accumulate(first.begin(), first.end(), 0.0), 1, 1e-5);
  for (float likely : first) EXPECT_GE(likely, 0);
  classify(examples()[1].drawing, 5);
  EXPECT_EQ(classify(examples()[0].drawing, 37), first);
  EXPECT_NE(classify(examples()[0].drawing, 1), first) << "more copies are a better answer";
}

TEST(Classify, MakesNothingOfAnEmptyDrawing) {
  std::array<float, 10> all_the_same{};
  all_the_same.fill(0.1f);
  EXPECT_EQ(classify(std::vector<std::uint8_t>(drawing_pixels), 4), all_the_same);
}

TEST(Classify, TakesADrawingThatIsAllInk) {
  const auto likely = classify(std::vector<std::uint8_t>(drawing_pixels, 255), 4);
  EXPECT_NEAR(std::accumulate(likely.begin(), likely.end(), 0.0), 1, 1e-5);
}

TEST(Classify, RefusesWhatIsNoDrawing) {
  EXPECT_THROW(classify(std::vector<std::uint8_t>(drawing_pixels - 1)), std::invalid_argument);
  EXPECT_THROW(classify(std::vector<std::uint8_t>(drawing_pixels + 1)), std::invalid_argument);
  EXPECT_THROW(classify({}), std::invalid_argument);
  EXPECT_THROW(classify(std::vector<std::uint8_t>(drawing_pixels), 0), std::invalid_argument);
}

}  // namespace
