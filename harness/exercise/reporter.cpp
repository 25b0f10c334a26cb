#include "exercise/reporter.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "exercise/in_parent.hpp"
#include "exercise/session.hpp"

#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#endif

namespace interleave {

namespace {

std::string full_name(const ::testing::TestInfo& test) {
  return std::string(test.test_suite_name()) + "." + test.name();
}

// True when memory was lost since the last call; LeakSanitizer writes its own report.
bool memory_was_leaked() {
#if __has_feature(address_sanitizer)
  return __lsan_do_recoverable_leak_check() != 0;
#else
  return false;
#endif
}

}  // namespace

FailureKind take_kind(std::string& message) {
  auto open = message.find('\x01'), close = message.find('\x02');
  if (open == std::string::npos || close == std::string::npos || close < open) return FailureKind::wrong_answer;
  FailureKind kind = failure_kind_from(message.substr(open + 1, close - open - 1)).value_or(FailureKind::wrong_answer);
  message.erase(open, close - open + 1);
  return kind;
}

void Reporter::OnTestProgramStart(const ::testing::UnitTest& program) {
  nlohmann::json tests = nlohmann::json::array();
  for (int i = 0; i < program.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *program.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      if (suite.GetTestInfo(j)->should_run()) tests.push_back(full_name(*suite.GetTestInfo(j)));
    }
  }
  session::send_plan(tests.dump());
}

void Reporter::OnTestStart(const ::testing::TestInfo& test) {
  session::send_test_started(full_name(test));
  before_ = take_stock();
}

void Reporter::OnTestPartResult(const ::testing::TestPartResult& result) {
  stop_stray_child(std::source_location::current(), "and went on with the test");
  if (session::silent) return;
  std::string file = result.file_name() == nullptr ? "" : result.file_name();
  std::string message = result.message();
  if (result.skipped()) session::send_skipped(file, result.line_number(), message);
  if (!result.failed()) return;
  FailureKind kind = take_kind(message);
  session::send_failure(kind, file, result.line_number(), message);
}

void Reporter::OnTestEnd(const ::testing::TestInfo& test) {
  stop_stray_child(std::source_location::current(), "and went on to the end of the test");
  if (!test.result()->Failed()) {
    // After a failure, what is left over is a consequence and would only hide the cause.
    for (const std::string& sentence : left_behind_since(before_)) {
      ADD_FAILURE_AT(test.file(), test.line()) << FailureKind::leak << "after the test, " << sentence;
    }
    if (!leak_found_ && memory_was_leaked()) {
      leak_found_ = true;  // LeakSanitizer would report the same memory after every test
      ADD_FAILURE_AT(test.file(), test.line()) << FailureKind::leak << "memory was allocated and never freed";
    }
  }
  session::send_test_ended(full_name(test), !test.result()->Failed());
}

void Reporter::OnTestProgramEnd(const ::testing::UnitTest&) { session::send_program_ended(); }

}  // namespace interleave
