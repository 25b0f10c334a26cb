#include "grader/diagnostics.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

namespace interleave {

namespace {

// One error with its notes and source lines, as Clang prints them.
struct Block {
  Place place;
  std::string message;
  std::vector<std::string> lines;
};

// "path:12:3: error: text" -> its parts; false for any other line.
bool parse_error_line(const std::string& line, Block& block) {
  auto mark = line.find(": error: ");
  std::size_t text = mark + 9;
  if (mark == std::string::npos) {
    mark = line.find(": fatal error: ");
    text = mark + 15;
  }
  if (mark == std::string::npos) return false;
  block.message = line.substr(text);
  auto column = line.rfind(':', mark - 1);
  auto row = column == std::string::npos ? column : line.rfind(':', column - 1);
  if (row != std::string::npos && row > 0) block.place = {line.substr(0, row), std::atoi(line.c_str() + row + 1)};
  return true;
}

bool starts_other_text(const std::string& line) {
  return line.find(": warning: ") != std::string::npos || line.find(" generated.") != std::string::npos ||
         line.starts_with("ninja: ") || line.starts_with("FAILED: ") || line.starts_with("[");
}

std::vector<Block> blocks_of(const std::string& output) {
  std::vector<Block> blocks;
  std::istringstream stream(output);
  bool inside = false;
  std::vector<std::string> included_from;
  for (std::string line; std::getline(stream, line);) {
    Block block;
    if (parse_error_line(line, block)) {
      block.lines.push_back(line);
      blocks.push_back(std::move(block));
      inside = true;
    } else if (line.starts_with("In file included from ") || starts_other_text(line)) {
      inside = false;
    } else if (inside) {
      blocks.back().lines.push_back(line);
    }
  }
  return blocks;
}

// The line of the learner's file in this block: the error itself, or the note that leads to it.
int learner_line_in(const Block& block, const std::string& learner_file) {
  for (const std::string& line : block.lines) {
    if (line.starts_with(learner_file + ":")) return std::atoi(line.c_str() + learner_file.size() + 1);
  }
  return 0;
}

}  // namespace

Failure failure_from_build(const std::string& output, const std::string& learner_file) {
  Failure failure{FailureKind::does_not_compile, "", "", {learner_file, 0}, {}, {}, output};
  std::vector<Block> blocks = blocks_of(output);
  auto first =
      std::find_if(blocks.begin(), blocks.end(), [&](auto& block) { return learner_line_in(block, learner_file) > 0; });
  if (first == blocks.end()) first = blocks.begin();
  if (first == blocks.end()) {
    failure.message = "the build failed without an error of the compiler; its whole output is in the raw report";
    return failure;
  }
  failure.message = first->message;
  failure.learner.line = learner_line_in(*first, learner_file);
  failure.place = first->place;
  failure.details = first->lines;
  if (first->lines.front().starts_with("ld.lld: ")) failure.message = "does not link: " + failure.message;
  std::size_t others = blocks.size() - 1;
  if (others > 0)
    failure.details.push_back("(" + std::to_string(others) + " more error" + (others > 1 ? "s" : "") +
                              " after this one)");
  return failure;
}

}  // namespace interleave
