#include "grader/judge.hpp"

#include <string.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <regex>
#include <set>

#include "grader/sanitizer_report.hpp"
#include "grader/timeline.hpp"

namespace interleave {

namespace {

std::string short_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string signal_name(int number) {
  const char* name = sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

// Where the function or class that the suite is named after stands in the graded file.
Place subject_of(const std::string& test, const std::string& file) {
  std::string suite = test.substr(0, test.find('.'));
  std::string function;
  for (char c : suite) {
    if (std::isupper(static_cast<unsigned char>(c)) && !function.empty()) function += '_';
    function += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  std::regex definition("^[^/]*(\\b(class|struct)\\s+" + suite + "\\b[^;]*$|\\b" + function + "\\s*\\()");
  std::ifstream stream(file);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (std::regex_search(line, definition)) return {file, number};
  }
  return {file, 0};
}

class Judge {
 public:
  Judge(const RunOutcome& outcome, const Exercise& exercise, const Solution& solution)
      : outcome_(outcome),
        exercise_(exercise.id),
        learner_file_(solution.file.string()),
        test_file_(exercise.test_file().string()) {}

  LensVerdict judge(const std::string& lens) {
    verdict_.lens = lens;
    verdict_.output = outcome_.output;
    verdict_.run_seconds = outcome_.seconds;
    replay_events();
    judge_the_end();
    judge_reports();
    for (const std::string& test : verdict_.tests) {
      if (!ended_.contains(test)) verdict_.not_reported.push_back(test);
    }
    if (!outcome_.left_behind.empty() && verdict_.failures.empty()) {
      Failure failure{
          FailureKind::leak,    last_test_, "when the tests were over, this was still there", {learner_file_, 0}, {},
          outcome_.left_behind, ""};
      add(std::move(failure));
    }
    verdict_.passed = verdict_.failures.empty() && verdict_.not_reported.empty() && !verdict_.tests.empty() &&
                      outcome_.end == RunOutcome::End::finished && outcome_.ending.succeeded();
    if (!verdict_.passed && verdict_.failures.empty()) {
      add({FailureKind::crash,
           "",
           "the test program did not run its tests: " + ending_in_words(),
           {learner_file_, 0},
           {},
           {},
           ""});
    }
    return std::move(verdict_);
  }

 private:
  void replay_events() {
    for (const nlohmann::json& event : outcome_.events) {
      std::string what = event.value("event", ""), test = event.value("test", "");
      if (what == "plan") {
        verdict_.tests = event.value("tests", std::vector<std::string>{});
      } else if (what == "test started") {
        running_test_ = last_test_ = test;
        awaiting_.clear();
        crash_.reset();
      } else if (what == "test ended") {
        running_test_.clear();
        ended_.insert(test);
      } else if (what == "program ended") {
        program_ended_ = true;
      } else if (what == "failure") {
        add_reported(event);
      } else if (what == "skipped") {
        add_skipped(event);
      } else if (what == "explored") {
        add_explored(event);
      } else if (what == "awaiting") {
        awaiting_.push_back(event);
      } else if (what == "reached") {
        std::erase_if(awaiting_, [&](auto& each) { return each.value("pid", 0) == event.value("pid", 0); });
      } else if (what == "forged") {
        add({FailureKind::forbidden_shortcut,
             last_test_,
             "results were written that the test support did not write",
             {learner_file_, 0},
             {},
             {},
             ""});
      } else if (what == "crash") {
        crash_ = event;
      }
    }
  }

  void add_reported(const nlohmann::json& event) {
    Failure failure;
    failure.kind = failure_kind_from(event.value("kind", "")).value_or(FailureKind::wrong_answer);
    failure.test = event.value("test", "");
    failure.message = event.value("message", "");
    failure.place = {event.value("file", ""), event.value("line", 0)};
    if (failure.message.starts_with("Failed\n")) failure.message.erase(0, 7);
    // What else such a test says comes of that.
    if (!failure.test.empty() && failure.test == last_not_done_) return;
    if (failure.place.file == learner_file_) {
      failure.learner = failure.place;
    } else {
      failure.learner = subject_of(failure.test, learner_file_);
    }
    if (failure.kind == FailureKind::not_done) last_not_done_ = failure.test;
    add(std::move(failure));
  }

  // What a machine lacks is for the test to say, not for the learner's code.
  void add_skipped(const nlohmann::json& event) {
    std::string test = event.value("test", ""), file = event.value("file", "");
    if (file != learner_file_) return verdict_.skipped.push_back({test, event.value("reason", "")});
    Place place{file, event.value("line", 0)};
    add({FailureKind::forbidden_shortcut, test, "the graded file skips the test that judges it", place, place, {}, ""});
  }

  void add_explored(const nlohmann::json& event) {
    verdict_.explored.push_back({event.value("test", ""), event.value("schedules", std::uint64_t{0}),
                                 event.value("complete_bound", -1), event.value("within_bound", std::uint64_t{0}),
                                 event.value("strategy", ""), event.value("failed", std::vector<std::uint64_t>())});
    if (!event.contains("kind")) return;
    add_reported(event);
    Failure& failure = verdict_.failures.back();
    if (failure.kind == FailureKind::not_done) return;
    TimelineReader reader(event, learner_file_, test_file_);
    failure.timeline = reader.timeline();
    failure.timeline.token = exercise_ + "-" + failure.timeline.token;
    if (Place place = reader.last_learner_line(); place.line > 0) failure.learner = place;
    if (std::string sentence = reader.first_access(); !sentence.empty()) failure.details.push_back(sentence);
  }

  void judge_the_end() {
    switch (outcome_.end) {
      case RunOutcome::End::deadlock:
        return judge_deadlock();
      case RunOutcome::End::time_limit: {
        Failure failure = stood_still(FailureKind::time_out,
                                      "the test said nothing for so long that it was stopped. This is where it was");
        return add(std::move(failure));
      }
      case RunOutcome::End::limit_exceeded:
        return add({FailureKind::limit_exceeded,
                    running_test_,
                    "the program was stopped because it " + outcome_.limit,
                    subject_of(running_test_, learner_file_),
                    {},
                    {},
                    ""});
      case RunOutcome::End::supervisor_killed:
        return add({FailureKind::forbidden_shortcut,
                    "",
                    "the supervisor of the run was killed or stopped before it could say what it saw. What runs beside "
                    "it is the graded program alone",
                    {learner_file_, 0},
                    {},
                    {},
                    ""});
      case RunOutcome::End::finished:
        break;
    }
    if (!last_not_done_.empty() && !program_ended_) {
      // Code that is not written yet ended the program from a thread or a child; what comes after is not written
      // either.
      return;
    }
    if (!program_ended_) add(early_end());
  }

  void judge_deadlock() {
    Failure failure = stood_still(FailureKind::deadlock, "nothing can run any more: every thread waits for another");
    // Who was killed before he could say that he had been met waits for nobody.
    std::erase_if(awaiting_, [&](const nlohmann::json& each) {
      return std::none_of(outcome_.threads.begin(), outcome_.threads.end(),
                          [&](const StoppedThread& thread) { return thread.process == each.value("pid", 0); });
    });
    if (!awaiting_.empty()) {
      const nlohmann::json& promise = awaiting_.back();
      failure.kind = failure_kind_from(promise.value("kind", "")).value_or(FailureKind::deadlock);
      failure.message = promise.value("message", "");
    }
    add(std::move(failure));
  }

  // Who waits for what, the threads with a line of the learner's first.
  Failure stood_still(FailureKind kind, std::string message) {
    Failure failure{kind, running_test_, std::move(message), subject_of(running_test_, learner_file_), {}, {}, ""};
    bool learner_line_found = false;
    std::vector<std::string> others;
    for (const StoppedThread& thread : outcome_.threads) {
      std::string who = thread.is_test_process ? "the test's process " : "child process ";
      who += std::to_string(thread.process);
      if (thread.thread != thread.process) who += ", thread " + std::to_string(thread.thread);
      const Frame* frame = frame_to_show(thread.stack);
      std::string line = who + " waits in " + thread.waits_for;
      if (frame != nullptr) line += ", at " + short_name(frame->file) + ":" + std::to_string(frame->line);
      if (frame != nullptr && frame->file == learner_file_) {
        if (!learner_line_found) failure.learner = {frame->file, frame->line};
        learner_line_found = true;
        failure.details.push_back(line);
      } else {
        others.push_back(line);
      }
      failure.raw += line + "\n";
      for (const Frame& each : thread.stack) {
        failure.raw +=
            "    " + each.function + (each.line > 0 ? " at " + each.file + ":" + std::to_string(each.line) : "") + "\n";
      }
    }
    failure.details.insert(failure.details.end(), others.begin(), others.end());
    return failure;
  }

  const Frame* frame_to_show(const std::vector<Frame>& stack) const {
    for (const std::string& file : {learner_file_, test_file_}) {
      for (const Frame& frame : stack) {
        if (frame.file == file) return &frame;
      }
    }
    return nullptr;
  }

  Failure early_end() {
    Failure failure{FailureKind::crash, running_test_, "", subject_of(running_test_, learner_file_), {}, {}, ""};
    failure.message = "the test program ended in the middle of the test: " + ending_in_words();
    if (!outcome_.ending.exited) {
      if (outcome_.output.find("terminate called") != std::string::npos) {
        auto at = outcome_.output.find("terminate called");
        failure.message += "; " + outcome_.output.substr(at, outcome_.output.find('\n', at) - at);
      }
      add_crash_stack(failure);
    } else {
      failure.message += ". Something called exit() or _exit() in the process that runs the tests";
    }
    return failure;
  }

  std::string ending_in_words() const {
    if (outcome_.ending.exited) return "it exited with status " + std::to_string(outcome_.ending.status);
    return "it was ended by " + signal_name(outcome_.ending.status) + " (" + strsignal(outcome_.ending.status) + ")";
  }

  void add_crash_stack(Failure& failure) {
    if (!crash_) return;
    Symbolizer symbolizer;
    bool found = false;
    for (const auto& offset : crash_->value("frames", std::vector<std::uint64_t>{})) {
      for (const Frame& frame : symbolizer.frames_at(crash_->value("program", ""), offset)) {
        failure.raw += "    " + frame.function + " at " + frame.file + ":" + std::to_string(frame.line) + "\n";
        if (frame.file != learner_file_ || found) continue;
        found = true;
        failure.learner = {frame.file, frame.line};
        failure.details.push_back("at " + short_name(frame.file) + ":" + std::to_string(frame.line) + " in " +
                                  frame.function);
      }
    }
  }

  // A sanitizer's report explains the end of the program or a test's failure better than either: it takes their place.
  void judge_reports() {
    for (const std::string& report : outcome_.reports) {
      Failure failure = condense(report, learner_file_, test_file_);
      auto explained = std::find_if(verdict_.failures.begin(), verdict_.failures.end(), [&](const Failure& each) {
        return failure.kind == FailureKind::leak
                   ? each.kind == FailureKind::leak && each.message.find("never freed") != std::string::npos
                   : each.kind == FailureKind::crash;
      });
      if (explained != verdict_.failures.end()) {
        failure.test = explained->test;
        *explained = std::move(failure);
        continue;
      }
      failure.test = !running_test_.empty()       ? running_test_
                     : !verdict_.failures.empty() ? verdict_.failures.front().test
                                                  : last_test_;
      auto first_of_test = std::find_if(verdict_.failures.begin(), verdict_.failures.end(),
                                        [&](const Failure& each) { return each.test == failure.test; });
      verdict_.failures.insert(first_of_test, std::move(failure));
    }
  }

  void add(Failure failure) { verdict_.failures.push_back(std::move(failure)); }

  const RunOutcome& outcome_;
  std::string exercise_, learner_file_, test_file_;
  LensVerdict verdict_;
  std::string running_test_, last_test_;
  std::set<std::string> ended_;
  std::vector<nlohmann::json> awaiting_;
  std::optional<nlohmann::json> crash_;
  bool program_ended_ = false;
  std::string last_not_done_;  // the last test that met what is not written yet
};

}  // namespace

LensVerdict judge(const RunOutcome& outcome, const Exercise& exercise, const Solution& solution,
                  const std::string& lens) {
  return Judge(outcome, exercise, solution).judge(lens);
}

}  // namespace interleave
