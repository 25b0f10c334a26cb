// A failing schedule, shown again: in the terminal, and as a page in a browser.

#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "grader/verdict.hpp"
#include "tests/fixture_workbook.hpp"

namespace interleave {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

class Replay : public FixtureWorkbook {
 protected:
  Replay() : FixtureWorkbook("03-counter", "counter") {
    fs::copy_file(root / "solutions/01-fixture/03-counter/wrong/reads-then-writes.hpp", file,
                  fs::copy_options::overwrite_existing);
    Captured captured = learn({"check", "1.3", "--json"});
    const Verdict verdict = nlohmann::json::parse(captured.text).get<Verdict>();
    if (const Failure* failure = verdict.first_failure()) token = failure->timeline.token;
  }

  std::string token;
};

TEST_F(Replay, ShowsTheScheduleThatFailed) {
  std::string text = said({"replay", token});
  EXPECT_THAT(text, HasSubstr("Counter.LosesNoIncrement wrong answer"));
  EXPECT_THAT(text, HasSubstr("loads value_ = 0"));
  EXPECT_THAT(text, HasSubstr("stores value_: 1"));
}

TEST_F(Replay, SaysWhenTheFileHasChangedSince) {
  EXPECT_THAT(said({"replay", "1.3-999-0000"}), HasSubstr("No schedule 1.3-999-0000 fails in counter any more"));
  EXPECT_THAT(said({"replay", "counter"}), HasSubstr("'counter' is no token of a schedule."));
  EXPECT_THAT(said({"replay", "1.1-1-0000"}), HasSubstr("answer is not explored"));
  save("#pragma once\n#include <atomic>\nstruct Counter {\n  void increment() { ++value_; }\n"
       "  int value() { return value_; }\n  std::atomic<int> value_ = 0;\n};\n");
  EXPECT_THAT(said({"replay", token}), HasSubstr("counter passes under explore now"));
}

TEST_F(Replay, APageThatCannotBeWrittenSaysSo) {
  EXPECT_THAT(said({"replay", token, "--html", "/nonexistent/page.html"}), HasSubstr("Cannot write"));
}

TEST_F(Replay, APageStepsThroughItInABrowser) {
  auto run = [](std::vector<std::string> arguments, std::map<std::string, std::string> environment = {}) {
    Command command;
    command.arguments = std::move(arguments);
    command.directory = INTERLEAVE_NODE;
    command.more_environment = std::move(environment);
    return run_and_capture(command);
  };
  fs::create_directories(INTERLEAVE_NODE);
  for (const char* program : {"node", "npm", "chromium"}) {
    if (run({"sh", "-c", std::string("command -v ") + program}).ending.status != 0)
      GTEST_SKIP() << "it needs node, npm and chromium (Debian: apt-get install nodejs npm chromium)";
  }
  fs::path page = fs::path(INTERLEAVE_NODE) / "page.html";
  ASSERT_THAT(said({"replay", token, "--html", page.string()}), HasSubstr("open it in a browser"));
  for (const auto& entry : fs::directory_iterator(INTERLEAVE_BROWSER_TESTS))
    fs::copy_file(entry.path(), fs::path(INTERLEAVE_NODE) / entry.path().filename(), fs::copy_options::overwrite_existing);
  Captured installed = run({"npm", "ci", "--no-audit", "--no-fund"});
  ASSERT_EQ(installed.ending.status, 0) << installed.text;
  Captured tested = run({"node", "--test", "replay_page.test.mjs"}, {{"PAGE", page.string()}});
  EXPECT_EQ(tested.ending.status, 0) << tested.text;
}

}  // namespace
}  // namespace interleave
