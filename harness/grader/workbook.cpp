#include "grader/workbook.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>

namespace interleave {

namespace fs = std::filesystem;

std::string Exercise::base() const {
  std::string text = slug;
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

fs::path Exercise::learner_file() const { return folder / (base() + ".hpp"); }
fs::path Exercise::test_file() const { return folder / (base() + "_test.cpp"); }
fs::path Exercise::reference() const { return solutions / (base() + ".hpp"); }

std::string Exercise::suite() const {
  std::string text;
  bool upper = true;
  for (char c : slug) {
    if (c == '-') {
      upper = true;
      continue;
    }
    text += upper ? static_cast<char>(std::toupper(c)) : c;
    upper = false;
  }
  return text;
}

std::string Solution::target(const Exercise& exercise, const std::string& lens) const {
  switch (role) {
    case Role::learner:
      return exercise.slug + "." + lens;
    case Role::stub:
      return exercise.slug + ".stub." + lens;
    case Role::reference:
      return exercise.slug + ".reference." + lens;
    case Role::right:
      return exercise.slug + ".right." + name + "." + lens;
    case Role::wrong:
      return exercise.slug + ".wrong." + name + "." + lens;
  }
  return "";
}

Workbook Workbook::open(const fs::path& directory) {
  std::ifstream file(directory / "manifest.json");
  nlohmann::json manifest = nlohmann::json::parse(file, nullptr, false);
  if (manifest.is_discarded()) {
    throw std::runtime_error("There is no manifest in " + directory.string() +
                             ". Run ./learn, or cmake --preset plain.");
  }
  Workbook workbook;
  workbook.root = manifest.at("source").get<std::string>();
  workbook.build = manifest.at("build").get<std::string>();
  workbook.compiler = manifest.at("compiler").get<std::string>();
  for (const auto& entry : manifest.at("exercises")) {
    Exercise exercise;
    exercise.id = entry.at("id");
    exercise.slug = entry.at("slug");
    exercise.folder = workbook.root / entry.at("folder").get<std::string>();
    exercise.solutions = workbook.root / entry.at("solutions").get<std::string>();
    exercise.lenses = entry.at("lenses").get<std::vector<std::string>>();
    exercise.time_limit = entry.at("time_limit");
    exercise.link_options = entry.at("link_options").get<std::vector<std::string>>();
    exercise.fuzz = entry.at("fuzz").get<std::vector<std::string>>();
    workbook.exercises.push_back(std::move(exercise));
  }
  return workbook;
}

fs::path Workbook::program(const Exercise& exercise, const Solution& solution, const std::string& lens) const {
  return build / "programs" / exercise.slug / solution.target(exercise, lens);
}

std::vector<Solution> solutions_of(const Exercise& exercise) {
  std::vector<Solution> found = {{Solution::Role::stub, exercise.stub(), "stub"},
                                 {Solution::Role::reference, exercise.reference(), "reference"}};
  for (auto [folder, role] : {std::pair{"right", Solution::Role::right}, {"wrong", Solution::Role::wrong}}) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(exercise.solutions / folder, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() == ".hpp") files.push_back(it->path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) found.push_back({role, file, file.stem().string()});
  }
  return found;
}

std::optional<Caught> caught_line_of(const fs::path& wrong_answer) {
  constexpr std::string_view mark = "// caught: ";
  std::ifstream file(wrong_answer);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(mark)) continue;
    line.erase(0, mark.size());
    auto first = line.find(", "), second = line.find(", ", first + 2);
    if (first == std::string::npos || second == std::string::npos) return std::nullopt;
    auto kind = failure_kind_from(line.substr(second + 2));
    if (!kind) return std::nullopt;
    return Caught{line.substr(0, first), line.substr(first + 2, second - first - 2), *kind};
  }
  return std::nullopt;
}

std::string head_sentence_of(const fs::path& solution) {
  std::ifstream file(solution);
  std::string sentence;
  for (std::string line; std::getline(file, line) && line.starts_with("// ") && !line.starts_with("// caught: ");) {
    sentence += (sentence.empty() ? "" : " ") + line.substr(3);
  }
  return sentence;
}

const Exercise* find_exercise(const Workbook& workbook, const std::string& name) {
  if (name.empty()) return nullptr;
  for (const Exercise& exercise : workbook.exercises) {
    if (name == exercise.id || name == exercise.slug || name == exercise.base()) return &exercise;
  }
  std::error_code error;
  fs::path path = fs::weakly_canonical(fs::absolute(name), error);
  for (const Exercise& exercise : workbook.exercises) {
    for (const fs::path& folder : {exercise.folder, exercise.solutions}) {
      auto [end, unused] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
      if (!error && end == folder.end()) return &exercise;
    }
  }
  return nullptr;
}

namespace {

// Levenshtein's distance: how many letters must change.
std::size_t distance(const std::string& left, const std::string& right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), 0u);
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= right.size(); ++j) {
      std::size_t change = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row.back();
}

}  // namespace

const Exercise& nearest_exercise(const Workbook& workbook, const std::string& name) {
  auto far_off = [&](const Exercise& exercise) {
    return std::min(distance(name, exercise.slug), distance(name, exercise.id));
  };
  return *std::min_element(workbook.exercises.begin(), workbook.exercises.end(),
                           [&](auto& left, auto& right) { return far_off(left) < far_off(right); });
}

}  // namespace interleave
