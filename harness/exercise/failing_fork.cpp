#include "exercise/failing_fork.hpp"

#include <sys/types.h>

#include <atomic>
#include <climits>

namespace {

std::atomic<int> successes_left = INT_MAX;
std::atomic<int> failure = 0;

}  // namespace

extern "C" {

pid_t __real_fork();

pid_t __wrap_fork() {
  if (failure.load() != 0 && successes_left.fetch_sub(1) <= 0) {
    errno = failure.load();
    return -1;
  }
  return __real_fork();
}
}

namespace interleave {

FailingFork::FailingFork(int successes, int error) {
  successes_left = successes;
  failure = error;
}

FailingFork::~FailingFork() { failure = 0; }

}  // namespace interleave
