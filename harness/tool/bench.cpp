#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <vector>

#include "grader/grade.hpp"
#include "grader/process.hpp"
#include "grader/sandbox.hpp"
#include "tool/commands.hpp"

namespace interleave {

namespace {

double seconds_of(const std::function<void()>& action) {
  auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run_or_throw(std::vector<std::string> arguments, const std::string& directory) {
  Command command;
  command.arguments = std::move(arguments);
  command.directory = directory;
  Captured captured = run_and_capture(command);
  if (!captured.ending.succeeded()) throw std::runtime_error("The bare build failed:\n" + captured.text);
}

}  // namespace

int bench_latency(Session& session, const std::string& name, int repeats) {
  fmt::print(
      "Time to the verdict on the reference, from the touched file through all lenses, against one bare\n"
      "clang++ -O1 compile, link and run of the same test. Median of {}; the goal is a ratio of 0.70 or less.\n\n",
      repeats);
  fmt::print("{:<26}{:>8}{:>12}{:>12}{:>8}\n", "exercise", "lenses", "bare [s]", "verdict [s]", "ratio");
  for (const Exercise& exercise : session.workbook.exercises) {
    if (!name.empty() && &exercise != &session.exercise(name)) continue;
    Solution reference{Solution::Role::reference, exercise.reference(), "reference"};
    grade(session.workbook, exercise, reference, exercise.lenses);  // a warm tree

    ScratchDirectory scratch;
    std::string program = (scratch.work() / "bare").string();
    std::string support = (session.workbook.build / "harness" / "exercise" / "libexercise_plain.a").string();
    std::vector<std::string> compile = {session.workbook.compiler,
                                        "-std=c++20",
                                        "-O1",
                                        "-pthread",
                                        "-I",
                                        (session.workbook.root / "harness").string(),
                                        "-I",
                                        exercise.solutions.string(),
                                        "-I",
                                        exercise.folder.parent_path().string(),
                                        exercise.test_file().string(),
                                        support,
                                        "-lgmock",
                                        "-lgtest",
                                        "-o",
                                        program};
    compile.insert(compile.end(), exercise.link_options.begin(), exercise.link_options.end());

    std::vector<double> bare, verdict, ratios;
    for (int i = 0; i < repeats; ++i) {
      // In turns, so that whatever else the machine does falls on both.
      bare.push_back(seconds_of([&] {
        run_or_throw(compile, "");
        run_or_throw({program}, scratch.work().string());
      }));
      ::utimensat(AT_FDCWD, exercise.reference().c_str(), nullptr, 0);
      verdict.push_back(seconds_of([&] {
        if (!grade(session.workbook, exercise, reference, exercise.lenses).passed())
          throw std::runtime_error(exercise.slug + ": the reference did not pass");
      }));
      ratios.push_back(verdict.back() / bare.back());
    }
    fmt::print("{:<26}{:>8}{:>12.2f}{:>12.2f}{:>8.2f}\n", exercise.id + " " + exercise.slug, exercise.lenses.size(),
               median(bare), median(verdict), median(ratios));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace interleave
