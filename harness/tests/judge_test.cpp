#include "grader/judge.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace interleave {
namespace {

class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() {
    exercise.slug = "subject";
    outcome.ending = {true, 0};
    add({{"event", "plan"}, {"tests", {"Subject.First", "Subject.Second"}}});
    add({{"event", "test started"}, {"test", "Subject.First"}});
  }
  void add(nlohmann::json event) { outcome.events.push_back(std::move(event)); }
  void end_of(const std::string& test) { add({{"event", "test ended"}, {"test", test}, {"passed", true}}); }
  LensVerdict verdict() {
    return judge(outcome, exercise, {Solution::Role::learner, "/nowhere/subject.hpp", ""}, "plain");
  }

  RunOutcome outcome;
  Exercise exercise;
};

TEST_F(JudgeTest, PassesOnlyWhenEveryTestCameToItsEnd) {
  end_of("Subject.First");
  add({{"event", "test started"}, {"test", "Subject.Second"}});
  end_of("Subject.Second");
  add({{"event", "program ended"}});
  EXPECT_TRUE(verdict().passed);
}

TEST_F(JudgeTest, NamesWhatTheMachineCouldNotJudge) {
  add({{"event", "skipped"}, {"test", "Subject.First"}, {"file", "/a/subject_test.cpp"}, {"reason", "one CPU"}});
  end_of("Subject.First");
  add({{"event", "test started"}, {"test", "Subject.Second"}});
  end_of("Subject.Second");
  add({{"event", "program ended"}});
  EXPECT_TRUE(verdict().passed);
  ASSERT_EQ(verdict().skipped.size(), 1u);
  EXPECT_EQ(verdict().skipped[0].test, "Subject.First");
  EXPECT_EQ(verdict().skipped[0].reason, "one CPU");
}

TEST_F(JudgeTest, FailsTheTestsThatAnEarlyExitDidNotReport) {
  end_of("Subject.First");
  LensVerdict early = verdict();
  EXPECT_FALSE(early.passed);
  EXPECT_EQ(early.failures.at(0).kind, FailureKind::crash);
  EXPECT_EQ(early.not_reported, std::vector<std::string>{"Subject.Second"});
}

TEST_F(JudgeTest, FailsAProgramThatSaysNothing) {
  outcome.events.clear();
  EXPECT_FALSE(verdict().passed);
  EXPECT_FALSE(verdict().failures.empty());
}

TEST_F(JudgeTest, SaysOnceThatATestMeetsWhatIsNotDone) {
  add({{"event", "failure"}, {"test", "Subject.First"}, {"kind", "not done"}, {"message", "not done yet: write f"}});
  add({{"event", "failure"}, {"test", "Subject.First"}, {"message", "C++ exception thrown in the test body"}});
  end_of("Subject.First");
  add({{"event", "failure"}, {"test", "Subject.Second"}, {"kind", "not done"}, {"message", "not done yet: write f"}});
  EXPECT_EQ(verdict().failures.size(), 2u);
}

TEST_F(JudgeTest, NamesTheSignalOfACrash) {
  outcome.ending = {false, SIGSEGV};
  EXPECT_NE(verdict().failures.at(0).message.find("SIGSEGV"), std::string::npos);
}

TEST_F(JudgeTest, GivesADeadlockTheKindOfThePromiseThatItBroke) {
  outcome.end = RunOutcome::End::deadlock;
  add({{"event", "awaiting"}, {"kind", "over-synchronised"}, {"message", "4 at once"}, {"pid", 7}});
  outcome.threads.emplace_back().process = 7;
  EXPECT_EQ(verdict().failures.at(0).kind, FailureKind::over_synchronised);
  EXPECT_EQ(verdict().failures.at(0).message, "4 at once");
}

TEST_F(JudgeTest, KeepsNobodyToAPromiseWhoIsDead) {
  outcome.end = RunOutcome::End::deadlock;
  add({{"event", "awaiting"}, {"kind", "over-synchronised"}, {"message", "4 at once"}, {"pid", 7}});
  outcome.threads.emplace_back().process = 8;
  EXPECT_EQ(verdict().failures.at(0).kind, FailureKind::deadlock);
}

TEST_F(JudgeTest, TakesAPromiseThatWasKeptForNoReason) {
  outcome.end = RunOutcome::End::deadlock;
  add({{"event", "awaiting"}, {"kind", "over-synchronised"}, {"message", "4 at once"}, {"pid", 7}});
  add({{"event", "reached"}, {"pid", 7}});
  EXPECT_EQ(verdict().failures.at(0).kind, FailureKind::deadlock);
}

TEST_F(JudgeTest, AFailureThatAChildReportedCountsEvenIfTheTestPassed) {
  add({{"event", "failure"},
       {"test", "Subject.First"},
       {"kind", "wrong answer"},
       {"file", "t.cpp"},
       {"line", 3},
       {"message", "no"}});
  end_of("Subject.First");
  add({{"event", "test started"}, {"test", "Subject.Second"}});
  end_of("Subject.Second");
  add({{"event", "program ended"}});
  EXPECT_FALSE(verdict().passed);
}

}  // namespace
}  // namespace interleave
