#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

#include "grader/build.hpp"
#include "grader/confinement.hpp"
#include "grader/diagnostics.hpp"
#include "grader/grade.hpp"
#include "grader/process.hpp"
#include "grader/proof.hpp"
#include "tool/commands.hpp"

namespace interleave {

namespace fs = std::filesystem;

namespace {

struct Proof {
  const Workbook* workbook;
  const Exercise* exercise;
  Solution solution;
  std::string lens;

  std::string target() const { return solution.target(*exercise, lens); }
  std::string name() const {
    std::string role = solution.role == Solution::Role::right   ? "right/"
                       : solution.role == Solution::Role::wrong ? "wrong/"
                                                                : "";
    return fmt::format("{} {} {}{} ({})", exercise->id, exercise->slug, role, solution.name, lens);
  }
};

// Counts, and prints each failure as it comes. Thread-safe.
class Tally {
 public:
  explicit Tally(const Style& style) : style_(style) {}

  void record(const std::string& name, const std::string& complaint) {
    std::lock_guard lock(mutex_);
    if (complaint.empty()) {
      ++passed_;
      return;
    }
    ++failed_;
    fmt::print("{} {}\n{}", style_.fail(), name, fold(complaint, style_.width, "    "));
    std::fflush(stdout);
  }
  void section(const std::string& title) {
    std::lock_guard lock(mutex_);
    fmt::print("{}\n", style_.bold(title));
    std::fflush(stdout);
  }
  int passed() const { return passed_; }
  int failed() const { return failed_; }

 private:
  Style style_;
  std::mutex mutex_;
  int passed_ = 0, failed_ = 0;
};

void add_proofs(std::vector<Proof>& proofs, const Workbook& workbook, const Exercise& exercise,
                const std::string& only_lens) {
  for (const Solution& solution : solutions_of(exercise)) {
    if (std::string missing = missing_here(solution); !missing.empty()) {
      fmt::print("Not proven on this machine, which allows no {}: {} {}\n", missing, exercise.slug, solution.name);
      continue;
    }
    for (const std::string& lens : lenses_of_proof(exercise, solution)) {
      if (only_lens.empty() || lens == only_lens) proofs.push_back({&workbook, &exercise, solution, lens});
    }
  }
}

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// What holds for an exercise as a whole, apart from its programs.
void check_exercise(const Session& session, const Exercise& exercise, const std::vector<std::string>& tests,
                    Tally& tally) {
  auto unused = tests_without_a_mistake(exercise, tests);
  std::string list;
  for (const std::string& test : unused) list += " " + test;
  tally.record(exercise.id + " " + exercise.slug + ": every test catches a mistake",
               unused.empty() ? "" : "no wrong answer is caught by" + list);

  int wrong = 0, right = 0;
  for (const Solution& solution : solutions_of(exercise)) {
    wrong += solution.role == Solution::Role::wrong;
    right += solution.role == Solution::Role::right;
  }
  tally.record(exercise.id + " " + exercise.slug + ": has its gallery",
               wrong >= 5 && right >= 1
                   ? ""
                   : fmt::format("{} wrong and {} right answers; at least 5 and 1 are needed", wrong, right));

  std::string missing;
  for (const char* page : {"lesson.md", "lesson.ko.md", "hints.md", "hints.ko.md"}) {
    if (!fs::exists(exercise.folder / page)) missing += std::string(" ") + page;
  }
  tally.record(exercise.id + " " + exercise.slug + ": has its pages",
               missing.empty() ? "" : "missing in " + exercise.folder.string() + ":" + missing);

  // A learner's own work is not a fault of the workbook.
  if (session.progress.knows(exercise.slug)) return;
  tally.record(exercise.id + " " + exercise.slug + ": the learner's file is the stub",
               text_of(exercise.learner_file()) == text_of(exercise.stub())
                   ? ""
                   : exercise.learner_file().string() + " differs from " + exercise.stub().string());
}

// How long the explorer searches for each mistake.
class Searches {
 public:
  // Why the search is not good enough; empty if each seed has found the mistake.
  std::string add(const std::string& name, const LensVerdict& verdict) {
    for (const Explored& explored : verdict.explored) {
      if (explored.test != verdict.failures.front().test) continue;
      std::vector<std::uint64_t> found = explored.failed;
      std::sort(found.begin(), found.end());
      auto missed = std::count(found.begin(), found.end(), 0u);
      if (missed > 0) return fmt::format("{} of {} seeds find no schedule that fails", missed, found.size());
      if (!found.empty()) rows_.push_back({name, explored.strategy, std::move(found)});
    }
    return "";
  }

  std::string table() const {
    if (rows_.empty()) return "";
    std::vector<Row> rows = rows_;
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.name < b.name; });
    std::string text = fmt::format("{:<68} {:>7} {:>7} {:>7}  {}\n", "", "median", "least", "most", "found by");
    for (const Row& row : rows) {
      text += fmt::format("{:<68} {:>7} {:>7} {:>7}  {}\n", row.name, row.found[row.found.size() / 2],
                          row.found.front(), row.found.back(), row.strategy);
    }
    return text;
  }

 private:
  struct Row {
    std::string name, strategy;
    std::vector<std::uint64_t> found;  // in order
  };
  std::vector<Row> rows_;
};

// Runs a GoogleTest program of the harness and counts its tests.
void run_own_tests(const Session& session, const std::string& program, Tally& tally) {
  fs::path report = session.workbook.build / (program + ".json");
  std::error_code ignored;
  fs::remove(report, ignored);
  Command command;
  command.arguments = {(session.workbook.build / "bin" / program).string(), "--gtest_brief=1",
                       "--gtest_output=json:" + report.string()};
  Captured captured = run_and_capture(command);
  auto json = nlohmann::json::parse(text_of(report), nullptr, false);
  if (json.is_discarded()) return tally.record(program, "did not come to its end:\n" + captured.text);
  for (const auto& suite : json.at("testsuites")) {
    for (const auto& test : suite.at("testsuite")) {
      std::string name = suite.at("name").get<std::string>() + "." + test.at("name").get<std::string>();
      if (test.value("result", "") == "SKIPPED") {
        std::string reason;
        for (const auto& skipped : test.value("skipped", nlohmann::json::array()))
          reason = skipped.value("message", "");
        tally.section("Not run on this machine: " + name + (reason.empty() ? "" : ": " + reason));
        continue;
      }
      std::string complaint;
      for (const auto& failure : test.value("failures", nlohmann::json::array()))
        complaint += failure.value("failure", "") + "\n";
      tally.record(name, complaint);
    }
  }
}

// Runs the fuzz targets. CMake knows how; see harness/cmake/Fuzz.cmake.
void run_fuzz_targets(const Session& session, const std::vector<const Exercise*>& exercises, const BuildResult& built,
                      Tally& tally) {
  auto has_source = [](const Exercise* exercise) { return fs::exists(exercise->solutions / "fuzz.cpp"); };
  if (std::none_of(exercises.begin(), exercises.end(), has_source)) return;
  tally.section("Running the fuzz targets");
  for (const Exercise* exercise : exercises) {
    if (has_source(exercise) && exercise->fuzz.empty()) {
      tally.section("Not run on this machine, which has no libFuzzer: " + exercise->id + " " + exercise->slug);
    }
    for (const std::string& target : exercise->fuzz) {
      if (built.failed.contains(target)) {
        tally.record(target, "does not compile:\n" + output_of_target(built.output, target));
        continue;
      }
      Command command;
      command.arguments = {"ctest",
                           "--test-dir",
                           session.workbook.build.string(),
                           "--output-on-failure",
                           "-R",
                           "^" + target + "$",
                           "--no-tests=error"};
      Captured captured = run_and_capture(command);
      tally.record(target, captured.ending.succeeded() ? "" : captured.text);
    }
  }
}

}  // namespace

int verify(Session& session, const VerifyOptions& options) {
  std::vector<const Exercise*> exercises;
  for (const std::string& name : options.exercises) exercises.push_back(&session.exercise(name));
  bool everything = exercises.empty();
  if (everything) {
    for (const Exercise& exercise : session.workbook.exercises) exercises.push_back(&exercise);
  }

  if (options.confined && !Confinement::is_possible()) {
    throw UsageError("This machine cannot confine programs: install bubblewrap, and allow user namespaces.");
  }
  Tally tally(session.style);
  std::vector<Proof> proofs;
  for (const Exercise* exercise : exercises) add_proofs(proofs, session.workbook, *exercise, options.lens);
  // The small workbook of harness/tests, whose solutions are hostile and harmless specimens.
  Workbook fixture;
  if (everything) {
    fixture = Workbook::open(session.workbook.build / "fixture");
    for (const Exercise& exercise : fixture.exercises) add_proofs(proofs, fixture, exercise, options.lens);
  }
  std::vector<std::string> targets;
  for (const Proof& proof : proofs) targets.push_back(proof.target());
  if (everything) targets.insert(targets.end(), {"grader_tests", "tool_tests", "explorer_tests", "digits_tests", "server_tests"});
  if (options.lens.empty()) {
    for (const Exercise* exercise : exercises)
      targets.insert(targets.end(), exercise->fuzz.begin(), exercise->fuzz.end());
  }

  tally.section(fmt::format("Building {} programs", targets.size()));
  BuildResult built = build(session.workbook, targets);

  tally.section(fmt::format("Proving {} solutions of {} exercises{}", proofs.size(),
                            exercises.size() + fixture.exercises.size(),
                            options.repeat > 1 ? fmt::format(", {} times", options.repeat) : ""));
  std::map<const Exercise*, std::vector<std::string>> tests;
  Searches searches;
  std::mutex mutex;  // guards `tests` and `searches`
  std::atomic<std::size_t> next = 0;
  auto work = [&] {
    for (std::size_t i; (i = next++) < proofs.size() * static_cast<std::size_t>(options.repeat);) {
      const Proof& proof = proofs[i % proofs.size()];
      std::string target = proof.target();
      if (built.failed.contains(target)) {
        Failure failure = failure_from_build(output_of_target(built.output, target), proof.solution.file.string());
        std::string text = "does not compile: " + failure.message;
        for (const std::string& line : failure.details) text += "\n" + line;
        tally.record(proof.name(), text);
        continue;
      }
      try {
        bool wrong = proof.solution.role == Solution::Role::wrong;
        bool right = proof.solution.role == Solution::Role::right || proof.solution.role == Solution::Role::reference;
        RunOptions run;
        if (wrong || (right && options.schedules > 0)) run.seeds = options.seeds;
        if (right) run.schedules = options.schedules;
        run.stop_at_first_failure = wrong;
        run.confined = options.confined;
        LensVerdict verdict = run_and_judge(*proof.workbook, *proof.exercise, proof.solution, proof.lens, run);
        if (std::string reason = not_judged_here(verdict, proof.solution); !reason.empty()) {
          tally.section(fmt::format("Not proven on this machine: {}: {}", proof.name(), reason));
          continue;
        }
        std::string complaint = complaint_about(verdict, *proof.exercise, proof.solution);
        if (wrong && complaint.empty() && proof.lens == "explore") {
          std::lock_guard lock(mutex);
          complaint = searches.add(proof.name(), verdict);
        }
        tally.record(proof.name(), complaint);
        if (proof.solution.role != Solution::Role::reference) continue;
        std::lock_guard lock(mutex);
        tests[proof.exercise] = verdict.tests;
      } catch (const std::exception& error) {
        tally.record(proof.name(), error.what());
      }
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();

  if (std::string table = searches.table(); !table.empty()) {
    tally.section(fmt::format("The schedule at which each mistake is found, from {} seeds", options.seeds));
    fmt::print("{}", table);
  }
  if (options.lens.empty()) {
    for (const Exercise* exercise : exercises) check_exercise(session, *exercise, tests[exercise], tally);
    run_fuzz_targets(session, exercises, built, tally);
  }
  if (everything) {
    tally.section("Running the harness's own tests");
    for (const char* program : {"grader_tests", "tool_tests", "explorer_tests", "digits_tests", "server_tests"}) {
      if (built.failed.contains(program)) {
        tally.record(program, failure_from_build(output_of_target(built.output, program), "").message);
      } else {
        run_own_tests(session, program, tally);
      }
    }
  }
  fmt::print("{} passed, {} failed\n", tally.passed(), tally.failed());
  return tally.failed() == 0 ? 0 : 1;
}

int prove(Session& session, const std::string& solution_file, const std::string& lens, bool build_first) {
  const Exercise& exercise = session.exercise(solution_file);
  fs::path wanted = fs::weakly_canonical(fs::absolute(solution_file));
  for (const Solution& solution : solutions_of(exercise)) {
    if (fs::weakly_canonical(solution.file) != wanted) continue;
    if (std::string missing = missing_here(solution); !missing.empty()) {
      fmt::print("{} cannot be proven on this machine, which allows no {}\n", solution.name, missing);
      return 0;
    }
    if (build_first) {
      BuildResult built = build(session.workbook, {solution.target(exercise, lens)});
      if (!built.failed.empty()) {
        fmt::print("does not compile:\n{}\n", built.output);
        return 1;
      }
    }
    LensVerdict verdict = run_and_judge(session.workbook, exercise, solution, lens);
    if (std::string reason = not_judged_here(verdict, solution); !reason.empty()) {
      fmt::print("{} cannot be proven on this machine: {}\n", solution.name, reason);
      return 0;
    }
    std::string complaint = complaint_about(verdict, exercise, solution);
    if (complaint.empty()) {
      fmt::print("{} is judged rightly under {}\n", solution.name, lens);
      return 0;
    }
    fmt::print("{}\n", complaint);
    return 1;
  }
  throw UsageError(solution_file + " is no solution of " + exercise.slug + ". Solutions are in " +
                   exercise.solutions.string() + ".");
}

}  // namespace interleave
