#include "exercise/death_at_each_step.hpp"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <span>
#include <string>
#include <vector>

#include "exercise/shared.hpp"

namespace interleave {
namespace {

class DieAtEachStep : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string reason = why_no_steps(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(DieAtEachStep, ShowsEachStateThatCanBeLeftBehind) {
  Shared<std::array<volatile int, 3>> numbers;
  std::vector<std::array<int, 3>> seen;
  std::vector<bool> finished;
  int deaths = die_at_each_step(
      std::as_bytes(std::span(&*numbers, 1)), [&] { *numbers = {}; },
      [&] {
        (*numbers)[0] = 7;
        for (volatile int i = 0; i < 100;) i = i + 1;  // nothing that anybody else could notice
        (*numbers)[1] = 8;
        (*numbers)[1] = 8;
        (*numbers)[2] = 9;
      },
      [&](bool end) {
        seen.push_back({(*numbers)[0], (*numbers)[1], (*numbers)[2]});
        finished.push_back(end);
      });
  // A second write of 8 changes nothing, and is no step.
  EXPECT_EQ(seen, (std::vector<std::array<int, 3>>{{0, 0, 0}, {7, 0, 0}, {7, 8, 0}, {7, 8, 9}, {7, 8, 9}}));
  EXPECT_EQ(finished, (std::vector<bool>{false, false, false, false, true}));
  EXPECT_EQ(deaths, 4);
}

TEST_F(DieAtEachStep, CountsASystemCallAsAStepThatOthersNotice) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::vector<ssize_t> written;
  die_at_each_step(
      {}, [] {},
      [&] {
        for (int i = 0; i < 2; ++i) [[maybe_unused]] auto ignored = ::write(ends[1], "x", 1);
      },
      [&](bool) {
        char buffer[8];
        [[maybe_unused]] auto ignored = ::write(ends[1], "y", 1);
        written.push_back(::read(ends[0], buffer, sizeof(buffer)) - 1);
      });
  EXPECT_EQ(written, (std::vector<ssize_t>{0, 1, 2, 2}));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(DieAtEachStep, ShowsTheLocksOfTheDead) {
  Shared<pthread_mutex_t> mutex;
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  std::vector<int> results;
  die_at_each_step(
      std::as_bytes(std::span(&*mutex, 1)), [&] { ::pthread_mutex_init(&*mutex, &attributes); },
      [&] {
        ::pthread_mutex_lock(&*mutex);
        ::pthread_mutex_unlock(&*mutex);
      },
      [&](bool) {
        results.push_back(::pthread_mutex_lock(&*mutex));
        ::pthread_mutex_consistent(&*mutex);
        ::pthread_mutex_unlock(&*mutex);
      });
  // It is free, then held by the dead, then free again.
  auto held = std::find(results.begin(), results.end(), EOWNERDEAD);
  auto free_again = std::find(held, results.end(), 0);
  EXPECT_EQ(results.front(), 0);
  EXPECT_GT(free_again - held, 5) << "deaths of a holder: between any two writes to the mutex and to its list";
  EXPECT_EQ(std::count(free_again, results.end(), 0), results.end() - free_again);
}

TEST_F(DieAtEachStep, FailsWhenTheBodyDoesNotComeToItsEnd) {
  auto nothing = [] {};
  auto ignore = [](bool) {};
  EXPECT_NONFATAL_FAILURE(die_at_each_step(
                              {}, nothing, [] { ::_exit(3); }, ignore),
                          "status 3");
  EXPECT_NONFATAL_FAILURE(die_at_each_step(
                              {}, nothing, [] { ::raise(SIGUSR1); }, ignore),
                          "a signal ended it");
}

TEST_F(DieAtEachStep, CountsSystemCalls) {
  EXPECT_EQ(system_calls_of([] {}), 0);
  EXPECT_EQ(system_calls_of([] {
              for (int i = 0; i < 3; ++i) ::syscall(SYS_getppid);
            }),
            3);
}

}  // namespace
}  // namespace interleave
