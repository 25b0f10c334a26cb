#include "grader/grade.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "grader/build.hpp"
#include "grader/confinement.hpp"
#include "grader/diagnostics.hpp"
#include "grader/judge.hpp"
#include "grader/process.hpp"
#include "grader/run_outcome.hpp"
#include "grader/screening.hpp"

namespace interleave {

namespace fs = std::filesystem;

namespace {

// By what it supervises: nobody else would, and it would wait for ever.
bool supervisor_is_stopped(pid_t confinement) {
  std::vector<ProcessInfo> inside = descendants_of(confinement);
  return std::any_of(inside.begin(), inside.end(),
                     [](const ProcessInfo& each) { return each.name == "supervise" && each.state == 'T'; });
}

// Runs one program under a supervisor of its own.
RunOutcome run_supervised(const Workbook& workbook, const RunRequest& request) {
  Command command;
  std::string supervisor = (workbook.build / "bin" / "supervise").string();
  if (request.confined) {
    // The programs of the other solutions are not for it to run, nor their text to read.
    command.arguments = Confinement()
                            .show(workbook.root / "chapters")
                            .show(workbook.build)
                            .hide(workbook.build / "programs")
                            .hide(workbook.build / "solutions")
                            .hide(workbook.root / "solutions")
                            .show(request.program)
                            .prefix();
    command.before_exec = [&request] { Confinement::enter(static_cast<unsigned>(request.process_limit) + 64); };
  }
  command.arguments.insert(command.arguments.end(), {supervisor, nlohmann::json(request).dump()});
  command.own_group = false;  // it stays in the grader's group, so that Ctrl-C reaches it too
  Pipe errors;
  command.error = errors.write_end;
  Pipe output;
  command.output = output.write_end;
  Process process(command);
  output.close_write();
  errors.close_write();
  std::string text, complaint;
  char buffer[65536];
  while (true) {
    pollfd ready{output.read_end, POLLIN, 0};
    constexpr int look_interval = 1000;  // milliseconds
    int count = ::poll(&ready, 1, look_interval);
    if (count == 0 && request.confined && supervisor_is_stopped(process.pid())) process.signal(SIGKILL);
    if (count <= 0) continue;
    ssize_t got = ::read(output.read_end, buffer, sizeof(buffer));
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  for (ssize_t got; (got = ::read(errors.read_end, buffer, sizeof(buffer))) > 0;)
    complaint.append(buffer, static_cast<std::size_t>(got));
  Ending ending = process.wait();
  auto json = nlohmann::json::parse(text, nullptr, false);
  // bwrap(1) passes a signal on as a shell does.
  bool killed = ending.exited ? ending.status == 128 + SIGKILL : ending.status == SIGKILL;
  if (json.is_discarded() && killed) {
    RunOutcome outcome;
    outcome.end = RunOutcome::End::supervisor_killed;
    return outcome;
  }
  if (json.is_discarded()) {
    throw std::runtime_error(
        "The supervisor could not run the test program: " + (complaint.empty() ? "it was stopped" : complaint) +
        "\nTry again; if it stays, ./learn doctor.");
  }
  return json.get<RunOutcome>();
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

LensVerdict run_and_judge(const Workbook& workbook, const Exercise& exercise, const Solution& solution,
                          const std::string& lens, const RunOptions& options) {
  RunRequest request;
  request.program = workbook.program(exercise, solution, lens).string();
  request.test_time_limit = exercise.time_limit;
  if (lens == "explore" && options.seeds > 1) {
    constexpr int most_schedules_a_second = 1000;  // on a slow machine that has other things to do
    request.environment["INTERLEAVE_SEEDS"] = std::to_string(options.seeds);
    request.test_time_limit *= options.seeds;
    if (options.schedules > 0) {
      request.environment["INTERLEAVE_SCHEDULES"] = std::to_string(options.schedules);
      request.test_time_limit =
          options.seeds * static_cast<int>(options.schedules / most_schedules_a_second + 1);
    }
  }
  if (options.stop_at_first_failure) request.arguments.push_back("--gtest_fail_fast");
  request.background_thread = lens == "tsan";
  request.confined =
      options.confined || (solution.role == Solution::Role::submission && Confinement::is_possible());
  request.limit_address_space = lens == "plain";
  return judge(run_supervised(workbook, request), exercise, solution, lens);
}

std::string trouble_with_file(const fs::path& file, const Exercise& exercise) {
  std::error_code error;
  std::string name = file.string(), reset = "./learn reset " + exercise.slug;
  fs::file_status status = fs::status(file, error);
  if (!fs::exists(status)) return name + " is missing. Bring it back with " + reset + ".";
  if (fs::is_directory(status)) return name + " is a directory. Move it away, then " + reset + ".";
  if (::access(file.c_str(), R_OK) != 0) return name + " cannot be read. Allow it with chmod u+r.";
  if (fs::file_size(file, error) == 0)
    return name + " is empty. Write your solution, or start again with " + reset + ".";
  return "";
}

Verdict grade(const Workbook& workbook, const Exercise& exercise, const Solution& solution,
              const std::vector<std::string>& lenses, const std::function<void(const LensVerdict&)>& on_lens) {
  Verdict verdict{exercise.id, exercise.slug, solution.file.string(), {}};
  verdict.lenses.resize(lenses.size());

  if (std::string trouble = trouble_with_file(solution.file, exercise); !trouble.empty()) {
    for (std::size_t i = 0; i < lenses.size(); ++i) {
      verdict.lenses[i].lens = lenses[i];
      verdict.lenses[i].failures.push_back(
          {FailureKind::does_not_compile, "", trouble, {solution.file.string(), 0}, {}, {}, ""});
      if (on_lens) on_lens(verdict.lenses[i]);
    }
    return verdict;
  }

  if (std::vector<Failure> shortcuts = screen(solution.file); !shortcuts.empty()) {
    for (std::size_t i = 0; i < lenses.size(); ++i) {
      verdict.lenses[i].lens = lenses[i];
      verdict.lenses[i].failures = shortcuts;
      if (on_lens) on_lens(verdict.lenses[i]);
    }
    return verdict;
  }

  std::vector<std::string> targets;
  for (const std::string& lens : lenses) targets.push_back(solution.target(exercise, lens));

  auto start = std::chrono::steady_clock::now();
  std::mutex mutex;  // guards `trouble` and the order of calls to on_lens
  std::string trouble;
  std::vector<std::thread> runs;
  auto run = [&](std::size_t i, double build_seconds) {
    LensVerdict lens;
    try {
      lens = run_and_judge(workbook, exercise, solution, lenses[i]);
    } catch (const std::exception& error) {
      std::lock_guard lock(mutex);
      trouble = error.what();
      return;
    }
    lens.build_seconds = build_seconds;
    std::lock_guard lock(mutex);
    verdict.lenses[i] = std::move(lens);
    if (on_lens) on_lens(verdict.lenses[i]);
  };

  BuildResult built;
  try {
    built = build(workbook, targets, [&](const std::string& target) {
      for (std::size_t i = 0; i < targets.size(); ++i) {
        if (targets[i] == target) runs.emplace_back(run, i, seconds_since(start));
      }
    });
  } catch (...) {
    for (std::thread& thread : runs) thread.join();
    throw;
  }
  for (std::thread& thread : runs) thread.join();
  if (!trouble.empty()) throw std::runtime_error(trouble);

  for (std::size_t i = 0; i < lenses.size(); ++i) {
    if (!built.failed.contains(targets[i])) continue;
    verdict.lenses[i].lens = lenses[i];
    verdict.lenses[i].build_seconds = seconds_since(start);
    verdict.lenses[i].failures.push_back(
        failure_from_build(output_of_target(built.output, targets[i]), solution.file.string()));
    if (on_lens) on_lens(verdict.lenses[i]);
  }
  return verdict;
}

}  // namespace interleave
