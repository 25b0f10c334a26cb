#include "tool/grade_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <regex>

#include "tool/verdict_text.hpp"

namespace interleave {

namespace {

constexpr std::size_t longest_text = 8000;  // bytes: a report is read by people and has to pass a service's limits
constexpr Style plain_style{false, false, 100};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// What a learner's program printed or was called may be anything: bytes that are no UTF-8, signs that no XML may hold,
// sequences that move a cursor.
std::string printable(std::string text) {
  if (text.size() > longest_text) {
    text = text.substr(0, longest_text) + fmt::format("\n[... {} bytes cut ...]", text.size() - longest_text);
  }
  // The library that reads JSON knows what is UTF-8.
  text = nlohmann::json::parse(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
             .get<std::string>();
  for (const char* not_a_character : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"})
    replace_all(text, not_a_character, "\xEF\xBF\xBD");
  std::erase(text, '\r');
  for (char& c : text) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) c = '?';
  }
  return text;
}

// The kernel numbers processes as it likes; here they are numbered as they appear, and a second run says the same.
class ProcessNumbers {
 public:
  std::string renumber(const std::string& text) {
    static const std::regex pattern(R"re((\bprocess )(\d+)(?:(, thread )(\d+))?(?= waits in | is left: | \('))re");
    std::string result;
    auto from = text.cbegin();
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
      const std::smatch& match = *it;
      result.append(from, match[0].first);
      result += match[1].str() + number(match[2]);
      if (match[3].matched) result += match[3].str() + number(match[4]);
      from = match[0].second;
    }
    return result.append(from, text.cend());
  }

 private:
  std::string number(const std::string& identifier) {
    return std::to_string(numbers_.try_emplace(identifier, numbers_.size() + 1).first->second);
  }

  std::map<std::string, std::size_t> numbers_;
};

template <typename Change>
void change_texts(nlohmann::json& json, const Change& change) {
  if (json.is_string()) json = change(json.get<std::string>());
  if (json.is_structured()) {
    for (auto& each : json) change_texts(each, change);
  }
}

template <typename Value, typename Change>
Value with_texts_changed(const Value& value, const Change& change) {
  nlohmann::json json = value;
  change_texts(json, change);
  return json.get<Value>();
}

double seconds_of(const LensVerdict& lens) { return lens.build_seconds + lens.run_seconds; }

}  // namespace

Place GradedExercise::place_of(const Failure& failure) const {
  return failure.learner.file.empty() ? Place{verdict.solution, 0} : failure.learner;
}

double GradeRow::seconds() const {
  double longest = 0;
  for (const LensVerdict* lens : lenses) longest = std::max(longest, seconds_of(*lens));
  return longest;
}

const Failure* GradeRow::first_failure() const {
  for (const LensVerdict* lens : lenses) {
    if (!lens->passed && !lens->failures.empty()) return &lens->failures.front();
  }
  return nullptr;
}

GradeReport::GradeReport(const Workbook& workbook, bool partial) : root_(workbook.root), partial_(partial) {
  if (!partial) return;
  // Of all exercises, not of those that are graded: the jobs that grade a chapter each count alike.
  for (const Exercise& exercise : workbook.exercises)
    points_of_weight_ = std::lcm(points_of_weight_, static_cast<int>(exercise.lenses.size()));
}

const GradedExercise& GradeReport::add(const Exercise& exercise, const Verdict& verdict) {
  GradedExercise graded;
  graded.weight = exercise.weight;
  graded.verdict = verdict;
  for (LensVerdict& lens : graded.verdict.lenses) {
    ProcessNumbers numbers;
    for (Failure& failure : lens.failures) {
      failure.raw.clear();
      // GoogleTest says -1 for an exception.
      for (Place* place : {&failure.learner, &failure.place}) place->line = std::max(place->line, 0);
    }
    lens = with_texts_changed(lens, [&](const std::string& text) { return numbers.renumber(printable(text)); });
    // Drawn before the paths are cut, since it reads the line to look at.
    std::string text = lens_line(lens, plain_style);
    if (!lens.passed && !lens.failures.empty())
      text += "\n" + explanation(lens, lens.failures.front(), root_.string(), plain_style);
    graded.texts.push_back(printable(text));
  }
  graded.verdict = with_texts_changed(graded.verdict, [&](std::string text) {
    replace_all(text, root_.string() + "/", "");
    return text;
  });

  auto lenses = static_cast<int>(verdict.lenses.size());
  auto passed = static_cast<int>(
      std::count_if(verdict.lenses.begin(), verdict.lenses.end(), [](const LensVerdict& lens) { return lens.passed; }));
  graded.most_points = graded.weight * points_of_weight_;
  if (partial_) graded.points = graded.most_points / std::max(lenses, 1) * passed;
  if (!partial_ && verdict.passed()) graded.points = graded.most_points;
  exercises_.push_back(std::move(graded));
  return exercises_.back();
}

std::vector<GradeRow> GradeReport::rows() const {
  std::vector<GradeRow> rows;
  for (const GradedExercise& exercise : exercises_) {
    const std::vector<LensVerdict>& lenses = exercise.verdict.lenses;
    if (!partial_) {
      rows.push_back(
          {&exercise, exercise.name(), {}, exercise.verdict.passed(), exercise.points, exercise.most_points, ""});
    }
    for (std::size_t i = 0; i < lenses.size(); ++i) {
      if (partial_) {
        int share = exercise.most_points / static_cast<int>(lenses.size());
        rows.push_back({&exercise,
                        exercise.name() + " (" + lenses[i].lens + ")",
                        {},
                        lenses[i].passed,
                        lenses[i].passed ? share : 0,
                        share,
                        ""});
      }
      rows.back().lenses.push_back(&lenses[i]);
      rows.back().text += exercise.texts[i];
    }
  }
  return rows;
}

bool GradeReport::passed() const {
  return std::all_of(exercises_.begin(), exercises_.end(), [](auto& each) { return each.verdict.passed(); });
}

double GradeReport::seconds() const {
  return std::accumulate(exercises_.begin(), exercises_.end(), 0.0, [](double sum, const GradedExercise& exercise) {
    double longest = 0;
    for (const LensVerdict& lens : exercise.verdict.lenses) longest = std::max(longest, seconds_of(lens));
    return sum + longest;
  });
}

int GradeReport::points() const {
  return std::accumulate(exercises_.begin(), exercises_.end(), 0,
                         [](int sum, auto& each) { return sum + each.points; });
}

int GradeReport::most_points() const {
  return std::accumulate(exercises_.begin(), exercises_.end(), 0,
                         [](int sum, auto& each) { return sum + each.most_points; });
}

std::string short_number(double number) {
  std::string text = fmt::format("{:.2f}", number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string on_one_line(const std::string& text) {
  std::string line = text;
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::replace(line.begin(), line.end(), '\t', ' ');
  replace_all(line, "##[", "## [");  // a command to the runner of GitHub, wherever it stands in a line
  return line;
}

}  // namespace interleave
