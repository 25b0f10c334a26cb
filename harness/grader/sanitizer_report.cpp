#include "grader/sanitizer_report.hpp"

#include <cstdlib>
#include <optional>
#include <regex>
#include <sstream>
#include <vector>

#include "grader/stacks.hpp"

namespace interleave {

namespace {

// A paragraph of a report: a heading such as "Write of size 4 at 0x... by thread T1:" and the stack under it.
struct Paragraph {
  std::string heading;
  std::vector<Frame> stack;
};

class Reader {
 public:
  Reader(const std::string& learner_file, const std::string& test_file)
      : learner_file_(learner_file), test_file_(test_file) {}

  std::vector<Paragraph> paragraphs_of(const std::string& report, std::string& with_symbols) {
    static const std::regex frame_line(R"(^\s*#\d+ .*\((.+)\+0x([0-9a-f]+)\))");
    std::vector<Paragraph> paragraphs;
    std::istringstream stream(report);
    for (std::string line; std::getline(stream, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, frame_line)) {
        with_symbols += line + "\n";
        std::string heading = std::regex_replace(line, std::regex(R"(^[=\s]*(\d+==)?)"), "");
        if (!heading.empty()) paragraphs.push_back({heading, {}});
        continue;
      }
      std::vector<Frame> frames = symbolizer_.frames_at(match[1], std::strtoull(match[2].str().c_str(), nullptr, 16));
      for (const Frame& frame : frames) {
        with_symbols += "    " + frame.function + " at " + frame.file + ":" + std::to_string(frame.line) + "\n";
      }
      if (frames.empty()) with_symbols += line + "\n";
      if (paragraphs.empty()) paragraphs.push_back({});
      auto& stack = paragraphs.back().stack;
      stack.insert(stack.end(), frames.begin(), frames.end());
    }
    return paragraphs;
  }

  // The learner's frame of a stack, else the test's, else the innermost that has a line.
  std::optional<Frame> frame_to_show(const std::vector<Frame>& stack) const {
    for (const std::string& file : {learner_file_, test_file_}) {
      for (const Frame& frame : stack) {
        if (frame.file == file) return frame;
      }
    }
    for (const Frame& frame : stack) {
      if (frame.line > 0) return frame;
    }
    return std::nullopt;
  }

  Place learner_place(const std::vector<Paragraph>& paragraphs) const {
    for (const Paragraph& paragraph : paragraphs) {
      for (const Frame& frame : paragraph.stack) {
        if (frame.file == learner_file_) return {frame.file, frame.line};
      }
    }
    return {learner_file_, 0};
  }

 private:
  std::string learner_file_, test_file_;
  Symbolizer symbolizer_;
};

std::string short_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string describe(const Frame& frame) {
  return short_name(frame.file) + ":" + std::to_string(frame.line) + " in " + frame.function;
}

bool starts_with_any(const std::string& text, std::initializer_list<const char*> beginnings) {
  for (const char* beginning : beginnings) {
    if (text.starts_with(beginning)) return true;
  }
  return false;
}

// Headings carry addresses and sizes that tell a learner nothing.
std::string plain_heading(std::string heading) {
  heading = std::regex_replace(heading, std::regex(R"( at 0x[0-9a-f]+)"), "");
  heading = std::regex_replace(heading, std::regex(R"( 0x[0-9a-f]+( \(leaked\))?)"), "");
  heading = std::regex_replace(heading, std::regex(R"(\s*\([^()]*(mutexes|tid)[^()]*\))"), "");
  if (heading.ends_with(":")) heading.pop_back();
  return heading;
}

void add_stacks(Failure& failure, const std::vector<Paragraph>& paragraphs, const Reader& reader,
                std::initializer_list<const char*> wanted) {
  for (const Paragraph& paragraph : paragraphs) {
    if (!starts_with_any(paragraph.heading, wanted)) continue;
    auto frame = reader.frame_to_show(paragraph.stack);
    failure.details.push_back(plain_heading(paragraph.heading) + (frame ? ": " + describe(*frame) : ""));
  }
}

}  // namespace

Failure condense(const std::string& report, const std::string& learner_file, const std::string& test_file) {
  Reader reader(learner_file, test_file);
  Failure failure;
  std::vector<Paragraph> paragraphs = reader.paragraphs_of(report, failure.raw);
  failure.learner = reader.learner_place(paragraphs);

  std::smatch match;
  static const std::regex undefined_behaviour(R"(runtime error: (.*))");
  static const std::regex address_error(R"(ERROR: AddressSanitizer: ([^\n]*))");
  if (report.find("WARNING: ThreadSanitizer: data race") != std::string::npos) {
    failure.kind = FailureKind::data_race;
    failure.message =
        "two threads touched the same memory at the same time, and at least one wrote. Nothing ordered them: a mutex "
        "held "
        "by both, an atomic, or a join between them would have";
    add_stacks(failure, paragraphs, reader,
               {"Write of", "Read of", "Atomic", "Previous", "Location is", "Thread T", "As if synchronized"});
  } else if (report.find("ThreadSanitizer: lock-order-inversion") != std::string::npos) {
    failure.kind = FailureKind::deadlock;
    failure.message =
        "two mutexes are locked in one order here and in the other order there, which can end in a deadlock";
    add_stacks(failure, paragraphs, reader, {"Mutex M"});
  } else if (report.find("ERROR: LeakSanitizer") != std::string::npos) {
    failure.kind = FailureKind::leak;
    failure.message = "memory was allocated and never freed";
    add_stacks(failure, paragraphs, reader, {"Direct leak", "Indirect leak"});
  } else if (std::regex_search(report, match, address_error)) {
    failure.kind = FailureKind::memory_error;
    failure.message =
        std::regex_replace(match[1].str(), std::regex(R"( \(?(on|pc|bp|sp|T\d)?\s*(unknown )?(address )?0x.*$)"), "");
    failure.message = "memory error: " + failure.message;
    add_stacks(
        failure, paragraphs, reader,
        {"READ of", "WRITE of", "The signal is", "freed by", "previously allocated", "allocated by", "attempting"});
    if (failure.details.empty() || failure.message.find("SEGV") != std::string::npos) {
      if (!paragraphs.empty()) {
        for (const Paragraph& paragraph : paragraphs) {
          if (auto frame = reader.frame_to_show(paragraph.stack)) {
            failure.details.push_back("at " + describe(*frame));
            break;
          }
        }
      }
    }
  } else if (std::regex_search(report, match, undefined_behaviour)) {
    failure.kind = FailureKind::memory_error;
    failure.message = "undefined behaviour: " + match[1].str();
    for (const Paragraph& paragraph : paragraphs) {
      if (auto frame = reader.frame_to_show(paragraph.stack)) {
        failure.details.push_back("at " + describe(*frame));
        break;
      }
    }
  } else {
    failure.kind = FailureKind::memory_error;
    failure.message = "a sanitizer ended the program: " + (paragraphs.empty() ? "no text" : paragraphs.front().heading);
  }
  return failure;
}

}  // namespace interleave
