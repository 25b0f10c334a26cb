#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <set>

#include "grader/confinement.hpp"
#include "grader/grade.hpp"
#include "grader/process.hpp"
#include "grader/submission.hpp"
#include "tool/commands.hpp"
#include "tool/formats/formats.hpp"

namespace interleave {

namespace fs = std::filesystem;

namespace {

/// Where one report goes: a file or, without a name, standard output.
class Destination {
 public:
  Destination(const Format& format, fs::path file, bool append)
      : format_(&format), file_(std::move(file)), append_(append) {}

  const Format& format() const { return *format_; }
  const fs::path& file() const { return file_; }

  /// Tries before anything is graded, and empties the file: a report of an earlier run is never taken for this one's.
  void open() {
    if (file_.empty()) return;
    int descriptor = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (append_ ? O_APPEND : O_TRUNC), 0666);
    if (descriptor < 0) {
      throw UsageError("Cannot write " + file_.string() + ": " + std::strerror(errno) +
                       ". Name a file that can be written, as --report " + std::string(format_->name) + "=FILE.");
    }
    stream_ = ::fdopen(descriptor, append_ ? "a" : "w");
  }

  void write(const GradeReport& report) {
    std::FILE* out = file_.empty() ? stdout : stream_;
    std::string text = format_->text(report);
    bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size() && std::fflush(out) == 0;
    if (out == stream_) std::fclose(out);
    if (!written) {
      throw std::runtime_error("The report " + (file_.empty() ? "on standard output" : file_.string()) +
                               " could not be written whole: " + std::strerror(errno) + ". Make room and grade again.");
    }
    if (format_->annotations == nullptr) return;
    std::fputs(format_->annotations(report).c_str(), stdout);
    std::fflush(stdout);
  }

 private:
  const Format* format_;
  fs::path file_;
  bool append_;
  std::FILE* stream_ = nullptr;
};

const Format& format_of(const std::string& name) {
  std::string all;
  for (const Format& format : formats()) {
    if (format.name == name) return format;
    all += (all.empty() ? "" : ", ") + std::string(format.name);
  }
  throw UsageError("There is no report '" + name + "'. There are: " + all + ".");
}

Destination destination_of(const Workbook& workbook, const std::string& wanted) {
  auto equals = wanted.find('=');
  const Format& format = format_of(wanted.substr(0, equals));
  std::string name(format.name);
  if (equals != std::string::npos) {
    std::string file = wanted.substr(equals + 1);
    if (file.empty())
      throw UsageError("--report " + wanted + " names no file. Name one, as --report " + name + "=FILE.");
    if (const Exercise* exercise = find_exercise(workbook, fs::absolute(file)); exercise != nullptr) {
      throw UsageError(file + " is in the folder of exercise " + exercise->slug +
                       ", whose files are not for reports. Name another file.");
    }
    return {format, file, false};
  }
  if (format.file_variable.empty()) return {format, "", false};
  const char* file = std::getenv(std::string(format.file_variable).c_str());
  if (file == nullptr || *file == '\0') {
    throw UsageError("--report " + name + " has no file for its summary, since " + std::string(format.file_variable) +
                     " is not set. Name one, as --report " + name + "=summary.md.");
  }
  return {format, file, true};
}

std::vector<Destination> destinations_of(const Workbook& workbook, const std::vector<std::string>& reports) {
  std::vector<Destination> destinations;
  std::set<fs::path> files;
  for (const std::string& wanted : reports) {
    destinations.push_back(destination_of(workbook, wanted));
    const fs::path& file = destinations.back().file();
    if (files.insert(file.empty() ? file : fs::weakly_canonical(fs::absolute(file))).second) continue;
    throw UsageError("Two reports go to " + (file.empty() ? "standard output" : file.string()) +
                     ". Name another file for one of them, as --report " +
                     std::string(destinations.back().format().name) + "=FILE.");
  }
  return destinations;
}

void read_service(GradeReport& report, const Format& format) {
  std::string missing;
  for (const std::string& variable : format.variables) {
    const char* value = std::getenv(variable.c_str());
    if (value != nullptr && *value != '\0') {
      report.service[variable] = value;
    } else {
      missing += " " + variable;
    }
  }
  if (missing.empty()) return;
  throw UsageError("--report " + std::string(format.name) + " needs from its service, which sets them:" + missing +
                   ". Run it there, or set them.");
}

std::string line_of(const GradedExercise& exercise, double seconds, const Style& style) {
  const Verdict& verdict = exercise.verdict;
  std::string result;
  if (verdict.passed()) {
    for (const LensVerdict& lens : verdict.lenses) result += (result.empty() ? "" : " ") + lens.lens;
  } else if (const Failure* failure = verdict.first_failure()) {
    Place place = exercise.place_of(*failure);
    result = fmt::format("{}: {}{}, {}", verdict.first_failed_lens()->lens, name_of(failure->kind),
                         failure->test.empty() ? "" : ", " + failure->test,
                         place.file + (place.line > 0 ? ":" + std::to_string(place.line) : ""));
  }
  std::set<std::string> skipped;
  for (const LensVerdict& lens : verdict.lenses) {
    for (const Skipped& each : lens.skipped) skipped.insert(each.test);
  }
  if (!skipped.empty()) {
    result +=
        fmt::format(" ({} {} not judged on this machine)", skipped.size(), skipped.size() == 1 ? "test" : "tests");
  }
  return fmt::format("{} {:<24} {}  {}\n", verdict.passed() ? style.pass() : style.fail(), exercise.name(),
                     on_one_line(result), style.dim(fmt::format("{:.1f} s", seconds)));
}

// Where commit `ref` of this repository is checked out, in the build tree.
fs::path checkout_of(const Workbook& workbook, const std::string& ref) {
  auto git = [&](std::vector<std::string> arguments) {
    Command command;
    command.arguments = {"git", "-C", workbook.root.string()};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    return run_and_capture(command);
  };
  Captured commit = git({"rev-parse", "--verify", "--end-of-options", ref + "^{commit}"});
  if (!commit.ending.succeeded())
    throw UsageError("There is no commit '" + ref +
                     "' in this repository. Name one that `git log` shows, or a branch.");
  commit.text.resize(std::min(commit.text.find('\n'), commit.text.size()));
  fs::path folder = workbook.build / "base" / commit.text;
  if (fs::exists(folder / "learn")) return folder;
  git({"worktree", "prune"});
  Captured added = git({"worktree", "add", "--detach", folder.string(), commit.text});
  if (!added.ending.succeeded()) throw std::runtime_error("git could not check out " + ref + ":\n" + added.text);
  return folder;
}

// Has another checkout's tool grade this one: what grades must not come from what is graded.
int grade_by(const fs::path& trusted, const Session& session, const GradeOptions& options) {
  fs::path tool = trusted / "learn";
  if (!fs::exists(tool)) {
    throw UsageError(trusted.string() + " is no checkout of the workbook: it has no ./learn. Name one that you trust.");
  }
  Command command;
  command.arguments = {"env",  "-u", "INTERLEAVE_WORKBOOK", "-u", "INTERLEAVE_BUILD", fs::absolute(tool).string(),
                       "grade"};
  auto add = [&](const std::vector<std::string>& more) {
    command.arguments.insert(command.arguments.end(), more.begin(), more.end());
  };
  add({"--submission", session.workbook.root.string()});
  if (options.partial) add({"--partial"});
  for (const std::string& report : options.reports) add({"--report", report});
  add(options.exercises);
  command.own_group = false;
  Ending ending = Process(command).wait();
  return ending.exited ? ending.status : 2;
}

// What is graded of an exercise that somebody else handed in.
Verdict grade_submitted(const Workbook& workbook, const Exercise& exercise, const fs::path& submission) {
  Solution solution{Solution::Role::submission, workbook.submission_file(exercise), ""};
  std::string trouble = take_submission(workbook, exercise, submission);
  if (trouble.empty()) return as_submitted(grade(workbook, exercise, solution, exercise.lenses), workbook, exercise);
  Verdict verdict{exercise.id, exercise.slug, exercise.learner_file().string(), {}};
  for (const std::string& lens : exercise.lenses) {
    verdict.lenses.emplace_back().lens = lens;
    verdict.lenses.back().failures.push_back(
        {FailureKind::does_not_compile, "", trouble, {exercise.learner_file().string(), 0}, {}, {}, ""});
  }
  return verdict;
}

}  // namespace

int grade_exercises(Session& session, const GradeOptions& options) {
  const Workbook& workbook = session.workbook;
  if (!options.base.empty()) return grade_by(checkout_of(workbook, options.base), session, options);
  if (!options.trusted.empty()) return grade_by(options.trusted, session, options);
  if (!options.submission.empty() && !fs::is_directory(fs::path(options.submission) / "chapters")) {
    throw UsageError(options.submission +
                     " is no checkout of the workbook: it has no folder chapters/. Name its root.");
  }
  std::set<const Exercise*> wanted;
  for (const std::string& name : options.exercises) {
    if (name.empty())
      throw UsageError("An ID is empty. Name an exercise, as 1.1, or nothing at all to grade everything.");
    wanted.insert(&session.exercise(name));
  }

  GradeReport report(workbook, options.partial);
  if (!options.submission.empty())
    report.submission = {Confinement::is_possible(), changed_elsewhere(workbook, options.submission)};
  std::vector<Destination> destinations = destinations_of(workbook, options.reports);
  for (Destination& destination : destinations) read_service(report, destination.format());
  for (Destination& destination : destinations) destination.open();

  // A report on standard output has it to itself.
  bool is_taken = std::any_of(destinations.begin(), destinations.end(), [](auto& each) { return each.file().empty(); });
  std::FILE* out = is_taken ? stderr : stdout;
  Style style = is_taken ? Style::of(STDERR_FILENO) : session.style;
  for (const Exercise& exercise : workbook.exercises) {
    if (!wanted.empty() && !wanted.contains(&exercise)) continue;
    auto start = std::chrono::steady_clock::now();
    Verdict verdict = options.submission.empty()
                          ? grade(workbook, exercise, session.learner_solution(exercise), exercise.lenses)
                          : grade_submitted(workbook, exercise, options.submission);
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::fputs(line_of(report.add(exercise, verdict), seconds, style).c_str(), out);
    std::fflush(out);
  }
  report.graded_at = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  std::fputs(("\n" + grade_table(report, style)).c_str(), out);
  std::fflush(out);
  for (Destination& destination : destinations) destination.write(report);
  return report.passed() ? 0 : 1;
}

}  // namespace interleave
