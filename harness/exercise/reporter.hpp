#pragma once

#include <gtest/gtest.h>

#include "exercise/failure_kind.hpp"
#include "exercise/hygiene.hpp"

namespace interleave {

/// Takes the mark that a FailureKind leaves in a message out of it.
FailureKind take_kind(std::string& message);

/// Tells the supervisor what GoogleTest sees, and checks after each test that nothing is left behind.
class Reporter : public ::testing::EmptyTestEventListener {
 public:
  void OnTestProgramStart(const ::testing::UnitTest& program) override;
  void OnTestStart(const ::testing::TestInfo& test) override;
  void OnTestPartResult(const ::testing::TestPartResult& result) override;
  void OnTestEnd(const ::testing::TestInfo& test) override;
  void OnTestProgramEnd(const ::testing::UnitTest& program) override;

 private:
  Holdings before_;
  bool leak_found_ = false;
};

}  // namespace interleave
