#pragma once

#include <cerrno>

namespace interleave {

/// While it lives, fork() succeeds `successes` times and then fails with `error`, as it does on a machine that has run
/// out of processes. Test programs are linked with --wrap=fork, so this reaches every call that is written as fork().
/// For the test's thread alone; one at a time.
class FailingFork {
 public:
  explicit FailingFork(int successes, int error = EAGAIN);
  FailingFork(const FailingFork&) = delete;
  FailingFork& operator=(const FailingFork&) = delete;
  ~FailingFork();
};

}  // namespace interleave
