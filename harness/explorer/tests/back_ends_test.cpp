// Fibers and threads that hand over: whatever runs the schedules, they are the same ones.

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>

#include "explored.hpp"
#include "explorer/engine/fiber.hpp"

namespace explorer {
namespace {

// What a body finds out of the order of its threads is the same with either back end, to the last schedule.
Report expect_the_same(const std::function<void()>& body) {
  Options options = a_bit_of_everything();
  Report fibers = explore(body, options);
  options.hand_over = true;
  Report threads = explore(body, options);
  EXPECT_EQ(name_of(fibers.failure), name_of(threads.failure)) << fibers.message << " / " << threads.message;
  EXPECT_EQ(fibers.schedules, threads.schedules);
  EXPECT_EQ(fibers.steps, threads.steps);
  EXPECT_EQ(fibers.choices, threads.choices);
  EXPECT_EQ(fibers.trace.size(), threads.trace.size());
  return threads;
}

thread_local int mine = 3;

TEST(BackEnds, AreNativeOnThisMachineOrSayThatTheyAreNot) {
  std::printf("fibers: %s\n", fibers_are_native() ? "native" : "threads that hand over");
}

TEST(BackEnds, SeeTheSameSchedulesOfARightProgram) {
  Report report = expect_the_same([] {
    std::mutex mutex;
    std::condition_variable changed;
    int count = 0;
    run_both(
        [&] {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return count > 0; });
          --count;
        },
        [&] {
          std::lock_guard lock(mutex);
          ++count;
          changed.notify_one();
        });
    require(count == 0);
  });
  EXPECT_EQ(report.failure, Failure::none);
}

TEST(BackEnds, FindTheSameScheduleOfAWrongProgram) {
  Report report = expect_the_same([] {
    std::atomic<int> count = 0;
    auto increment = [&] { count = count + 1; };
    run_both(increment, increment);
    require(count == 2);
  });
  EXPECT_EQ(report.failure, Failure::assertion);
}

TEST(BackEnds, EndADeadlockedScheduleAndBeginTheNext) {
  Report report = expect_the_same([] {
    std::mutex one, two;
    run_both([&] { std::scoped_lock first(one), second(two); }, [&] { std::lock_guard first(two), second(one); });
  });
  EXPECT_EQ(report.failure, Failure::deadlock);
}

TEST(BackEnds, GiveEachThreadOfEachScheduleFreshThreadLocals) {
  Report report = expect_the_same([] {
    auto use = [] { require(mine++ == 3); };
    run_both(use, use);
    mine = 3;
  });
  EXPECT_EQ(report.failure, Failure::none) << report.message;
}

TEST(BackEnds, CarryExceptionsOnTheirStacks) {
  Report report = expect_the_same([] {
    auto fall = [] {
      try {
        std::this_thread::yield();
        throw std::runtime_error("caught where it was thrown");
      } catch (const std::runtime_error&) {
        std::this_thread::yield();
      }
    };
    run_both(fall, fall);
  });
  EXPECT_EQ(report.failure, Failure::none) << report.message;
}

}  // namespace
}  // namespace explorer
