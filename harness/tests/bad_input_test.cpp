// What people do to a workbook. Each gets one clear sentence with the next step, and nothing is lost.

#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "grader/verdict.hpp"
#include "tests/fixture_workbook.hpp"

namespace interleave {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

class BadInput : public FixtureWorkbook {};

TEST_F(BadInput, WithoutATerminalOneCheckIsPrintedAndTheStatusTellsItsResult) {
  Captured failed = learn({});
  EXPECT_EQ(failed.ending.status, 1) << failed.text;
  EXPECT_NE(failed.text.find("not done yet"), std::string::npos) << failed.text;
  save(right_answer);
  Captured passed = learn({});
  EXPECT_EQ(passed.ending.status, 0) << passed.text;
}

TEST_F(BadInput, TheVerdictIsAvailableAsJson) {
  Captured captured = learn({"check", "1.1", "--json"});
  Verdict verdict = nlohmann::json::parse(captured.text).get<Verdict>();
  EXPECT_EQ(verdict.exercise, "1.1");
  EXPECT_FALSE(verdict.passed());
  ASSERT_EQ(verdict.lenses.size(), 2u);
  EXPECT_EQ(verdict.lenses[0].failures.at(0).kind, FailureKind::not_done);
  EXPECT_EQ(verdict.lenses[0].tests.size(), 2u);
}

TEST_F(BadInput, AWrongIdGetsTheNearestMatch) {
  Captured captured = learn({"check", "anwser"});
  EXPECT_EQ(captured.ending.status, 2);
  EXPECT_NE(captured.text.find("Did you mean 1.1 answer?"), std::string::npos) << captured.text;
}

TEST_F(BadInput, AnIdMayBeAPath) {
  EXPECT_THAT(said({"lesson", file.string()}), HasSubstr("The lesson of the fixture."));
}

TEST_F(BadInput, AMissingFileSaysHowToBringItBack) {
  fs::remove(file);
  EXPECT_THAT(said({}), HasSubstr("is missing. Bring it back with"));
  EXPECT_EQ(learn({"reset", "--yes"}).ending.status, 0);
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(BadInput, AnEmptyFileSaysSo) {
  save("");
  EXPECT_THAT(said({}), HasSubstr("is empty."));
}

TEST_F(BadInput, ADirectoryInPlaceOfTheFileSaysSo) {
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_THAT(said({}), HasSubstr("is a directory."));
}

TEST_F(BadInput, AFileThatCannotBeReadSaysSo) {
  if (::geteuid() == 0) return;  // root reads everything
  fs::permissions(file, fs::perms::none);
  EXPECT_THAT(said({}), HasSubstr("cannot be read."));
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(BadInput, TheFirstErrorOfTheCompilerIsShownWholeAndTheRestCounted) {
  save(
      "#pragma once\ninline int answer() { return nonsense; }\ninline bool is_answer(int value) { return nothing == "
      "value; }\n");
  Captured captured = learn({"check", "--lens", "plain"});
  EXPECT_NE(captured.text.find("use of undeclared identifier 'nonsense'"), std::string::npos) << captured.text;
  EXPECT_NE(captured.text.find("answer.hpp:2"), std::string::npos) << captured.text;
  EXPECT_EQ(captured.text.find("'nothing'"), std::string::npos) << captured.text;
  EXPECT_NE(captured.text.find("(1 more error after this one)"), std::string::npos) << captured.text;
}

TEST_F(BadInput, AFunctionThatIsDeclaredAndNotDefinedIsNamed) {
  save(
      "#pragma once\nint missing_part();\ninline int answer() { return missing_part(); }\ninline bool is_answer(int "
      "value) { return value == 42; }\n");
  Captured captured = learn({"check", "--lens", "plain"});
  EXPECT_NE(captured.text.find("does not link"), std::string::npos) << captured.text;
  EXPECT_NE(captured.text.find("missing_part()"), std::string::npos) << captured.text;
}

TEST_F(BadInput, AFunctionThatTheTestWantsAndTheFileDoesNotHaveIsNamed) {
  save("#pragma once\ninline int answer() { return 42; }\n");
  Captured captured = learn({"check", "--lens", "plain"});
  EXPECT_NE(captured.text.find("'is_answer'"), std::string::npos) << captured.text;
}

TEST_F(BadInput, UnknownLinesOfTheProgressAreKeptAsideWithAWarning) {
  fs::create_directories(root / ".learn");
  std::ofstream(root / ".learn/progress")
      << "answer passed hints=2\n\x01\x02 rubbish\nanswer passed hints=9 and more\nold-exercise passed\n";
  Captured captured = learn({"list", "--json"});
  EXPECT_EQ(captured.ending.status, 0);
  EXPECT_NE(captured.text.find("2 lines of"), std::string::npos) << captured.text;
  std::ifstream aside(root / ".learn/progress.unknown");
  std::string text((std::istreambuf_iterator<char>(aside)), {});
  EXPECT_NE(text.find("rubbish"), std::string::npos);
  captured = learn({"list", "--json"});
  auto list = nlohmann::json::parse(captured.text);
  EXPECT_TRUE(list.at(0).at("passed").get<bool>()) << "the line that could be read counts";
}

TEST_F(BadInput, ResetWithoutAYesChangesNothing) {
  save(right_answer);
  EXPECT_EQ(learn({"reset"}).ending.status, 1);
  std::ifstream stream(file);
  std::string text((std::istreambuf_iterator<char>(stream)), {});
  EXPECT_EQ(text, right_answer);
}

TEST_F(BadInput, TheSolutionIsNotShownBeforeAYes) {
  Captured captured = learn({"solution"});
  EXPECT_EQ(captured.ending.status, 1);
  EXPECT_EQ(captured.text.find("return 42"), std::string::npos);
  EXPECT_THAT(said({"solution", "--yes"}), HasSubstr("return 42"));
}

TEST_F(BadInput, TheDifferenceToTheStubIsShown) {
  save(right_answer);
  EXPECT_THAT(said({"diff"}), HasSubstr("+inline int answer() { return 42; }"));
}

TEST_F(BadInput, AnUnknownCommandNamesTheHelp) {
  Captured captured = learn({"frobnicate"});
  EXPECT_NE(captured.ending.status, 0);
  EXPECT_NE(captured.text.find("--help"), std::string::npos) << captured.text;
}

}  // namespace
}  // namespace interleave
