#include "grader/diagnostics.hpp"

#include <gtest/gtest.h>

namespace interleave {
namespace {

TEST(FailureFromBuild, PrefersTheErrorThatLeadsToTheLearnersFile) {
  Failure failure = failure_from_build(
      "FAILED: x.o\n"
      "/lib/vector:10:2: error: no member named 'size'\n   10 | x\n/me/file.hpp:7:3: note: in instantiation requested "
      "here\n    7 | y\n"
      "/lib/map:1:1: error: second\n2 errors generated.\n",
      "/me/file.hpp");
  EXPECT_EQ(failure.message, "no member named 'size'");
  EXPECT_EQ(failure.learner.line, 7);
  EXPECT_EQ(failure.place.file, "/lib/vector");
  ASSERT_EQ(failure.details.size(), 5u);
  EXPECT_EQ(failure.details.back(), "(1 more error after this one)");
}

TEST(FailureFromBuild, SaysSoWhenTheCompilerGaveNoError) {
  EXPECT_NE(failure_from_build("clang: killed\n", "/me/file.hpp").message.find("without an error"), std::string::npos);
}

TEST(FailureFromBuild, FindsAFatalError) {
  Failure failure =
      failure_from_build("/me/file.hpp:3:10: fatal error: 'nowhere.hpp' file not found\n", "/me/file.hpp");
  EXPECT_EQ(failure.message, "'nowhere.hpp' file not found");
  EXPECT_EQ(failure.learner.line, 3);
}

}  // namespace
}  // namespace interleave
