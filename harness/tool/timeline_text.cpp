#include "tool/timeline_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>

namespace interleave {

namespace {

struct Line {
  const TimelineRow* row;
  int times;  // the same step again and again, folded
};

std::string what_happened(const TimelineRow& row, int times) {
  std::string text = row.operation;
  if (!row.object.empty()) text += " " + row.object;
  if (!row.value.empty())
    text += (row.operation == "loads" || row.operation == "reads" || row.operation == "compares" ? " = " : ": ") +
            row.value;
  if (times > 1) text += fmt::format(" (x{})", times);
  return text;
}

std::vector<Line> folded(const std::vector<TimelineRow>& rows) {
  std::vector<Line> lines;
  for (const TimelineRow& row : rows) {
    if (!lines.empty()) {
      const TimelineRow& last = *lines.back().row;
      if (last.thread == row.thread && last.operation == row.operation && last.object == row.object &&
          last.value == row.value && last.place.line == row.place.line) {
        ++lines.back().times;
        continue;
      }
    }
    lines.push_back({&row, 1});
  }
  return lines;
}

/// The source, read once.
class Source {
 public:
  std::string line(const Place& place) {
    auto& lines = files_[place.file];
    if (lines.empty()) {
      std::ifstream file(place.file);
      for (std::string line; std::getline(file, line);) lines.push_back(line);
    }
    if (place.line < 1 || place.line > static_cast<int>(lines.size())) return "";
    const std::string& text = lines[static_cast<std::size_t>(place.line) - 1];
    auto begin = text.find_first_not_of(" \t");
    return begin == std::string::npos ? "" : text.substr(begin);
  }

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

std::string cut(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : width < 4 ? "" : text.substr(0, width - 3) + "...";
}

}  // namespace

std::string timeline_text(const Timeline& timeline, const Style& style, std::size_t most_rows) {
  if (timeline.rows.empty()) return "";
  std::vector<Line> lines = folded(timeline.rows);
  std::size_t from = most_rows > 0 && lines.size() > most_rows ? lines.size() - most_rows : 0;

  auto width = static_cast<std::size_t>(std::max(style.width, 80));
  std::size_t column = timeline.threads <= 5 ? 4 : timeline.threads <= 12 ? 3 : 0;
  std::size_t what = 0;
  for (std::size_t i = from; i < lines.size(); ++i)
    what = std::max(what, what_happened(*lines[i].row, lines[i].times).size());
  what = std::min(what, width * 2 / 5);
  std::size_t where = 0;
  // In few columns the lines of the learner's file need no name, and the test's a short one.
  auto place_text = [&](const Place& place) {
    if (place.line == 0) return std::string();
    std::string file = place.file.substr(place.file.rfind('/') + 1);
    if (width < 110) file = file.ends_with("_test.cpp") ? "test" : "";
    return file + ":" + std::to_string(place.line);
  };
  for (std::size_t i = from; i < lines.size(); ++i) where = std::max(where, place_text(lines[i].row->place).size());
  where = std::min(where, width / 4);

  std::string text = "    ";
  std::size_t columns = column > 0 ? column * static_cast<std::size_t>(timeline.threads) : 5;
  for (int thread = 0; column > 0 && thread < timeline.threads; ++thread)
    text += fmt::format("{:<{}}", "T" + std::to_string(thread), column);
  text += "\n";
  if (from > 0) text += style.dim(fmt::format("    ({} earlier steps)\n", from));
  Source source;
  for (std::size_t i = from; i < lines.size(); ++i) {
    const TimelineRow& row = *lines[i].row;
    std::string left;
    if (column > 0) {
      left = std::string(column * static_cast<std::size_t>(row.thread), ' ') + "o";
      left.resize(columns, ' ');
    } else {
      left = fmt::format("{:<5}", "T" + std::to_string(row.thread));
    }
    std::size_t used = 4 + columns + what + 2 + where + 2;
    text += "    " + style.bold(left) + fmt::format("{:<{}}  ", cut(what_happened(row, lines[i].times), what), what) +
            style.dim(fmt::format("{:<{}}  ", cut(place_text(row.place), where), where)) +
            (used < width ? cut(source.line(row.place), width - used) : "") + "\n";
  }
  for (const std::string& sentence : timeline.waiting) text += fold(sentence, style.width, "    ");
  return text;
}

}  // namespace interleave
