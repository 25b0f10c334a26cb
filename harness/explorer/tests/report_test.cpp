// What the report of an exploration says, and that it is the same each time.

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "explorer/tests/explored.hpp"

namespace explorer {
namespace {

using ::testing::HasSubstr;

// Wrong in one order of a few dozen, so that a report is of a schedule in the middle of an exploration.
void check_then_act() {
  std::mutex mutex;
  int tickets = 1;
  auto buy = [&] {
    mutex.lock();
    bool any = tickets > 0;
    mutex.unlock();
    std::lock_guard lock(mutex);
    if (any) --tickets;
    require(tickets >= 0, "a ticket was sold twice");
  };
  run_both(buy, buy);
}

void expect_same(const Report& one, const Report& two) {
  EXPECT_EQ(one.failure, two.failure);
  EXPECT_EQ(one.schedules, two.schedules);
  EXPECT_EQ(one.steps, two.steps);
  EXPECT_EQ(one.choices, two.choices);
  EXPECT_EQ(one.strategy, two.strategy);
  ASSERT_EQ(one.trace.size(), two.trace.size());
  for (std::size_t i = 0; i < one.trace.size(); ++i) {
    EXPECT_EQ(one.trace[i].thread, two.trace[i].thread);
    EXPECT_EQ(one.trace[i].operation, two.trace[i].operation);
  }
}

class EachStrategy : public ::testing::TestWithParam<Phase> {};

TEST_P(EachStrategy, FindsABugInTheSameScheduleEachTimeThatTheSeedIsTheSame) {
  Options options;
  options.portfolio = {GetParam()};
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    options.seed = seed;
    Report first = explore(check_then_act, options);
    EXPECT_EQ(first.failure, Failure::assertion) << "seed " << seed;
    expect_same(first, explore(check_then_act, options));
  }
}

std::string name_of_phase(const ::testing::TestParamInfo<Phase>& info) {
  static constexpr const char* names[] = {"Systematic", "Surw", "Pos", "Pct", "Random"};
  return names[static_cast<int>(info.param.strategy)];
}

INSTANTIATE_TEST_SUITE_P(Strategies, EachStrategy,
                         ::testing::Values(Phase{StrategyKind::systematic, 1, 1000, false, false},
                                           Phase{StrategyKind::surw, 0, 1000, true, true},
                                           Phase{StrategyKind::pos, 0, 1000, true, true},
                                           Phase{StrategyKind::pct, 3, 1000, true, true},
                                           Phase{StrategyKind::random, 0, 1000, true, true}),
                         name_of_phase);

TEST(Seed, MakesAnotherExploration) {
  Options options;
  options.portfolio = {{StrategyKind::random, 0, 1000, false, false}};
  Report first = explore(check_then_act, options);
  bool any_other = false;
  for (options.seed = 2; options.seed <= 10; ++options.seed)
    any_other |= explore(check_then_act, options).choices != first.choices;
  EXPECT_TRUE(any_other);
}

TEST(Report, TellsWhereAnAssertionFailed) {
  int line = __LINE__ + 1;
  Report report = expect_failure(Failure::assertion, [] { require(false, "told in words"); });
  EXPECT_THAT(report.file, HasSubstr("report_test.cpp"));
  EXPECT_EQ(report.line, line);
  EXPECT_THAT(report.message, HasSubstr("told in words"));
  EXPECT_EQ(report.schedules, 1u);
}

TEST(Report, TellsTheStoryOfTheScheduleThatFailed) {
  Report report = expect_failure(Failure::assertion, check_then_act);
  auto count = [&](int thread, const char* operation) {
    return std::count_if(report.trace.begin(), report.trace.end(),
                         [&](const Step& step) { return step.thread == thread && step.operation == operation; });
  };
  EXPECT_EQ(count(0, "creates"), 2);
  EXPECT_EQ(count(1, "locks"), 2);
  EXPECT_EQ(count(2, "locks"), 2);
  for (const Step& step : report.trace) EXPECT_FALSE(step.frames.empty()) << step.operation;
}

TEST(Report, TellsWhereTheOtherAccessOfARaceWasMade) {
  Report report = expect_failure(Failure::data_race, [] {
    int value = 0;
    run_both([&] { value = 1; }, [&] { value = 2; });
  });
  EXPECT_FALSE(report.first_access.empty());
}

TEST(RaceDetection, CanBeLeftOut) {
  Options options = a_bit_of_everything();
  options.race_detection = false;
  Report report = explore(
      [] {
        int value = 0;
        run_both([&] { value = 1; }, [&] { value = 2; });
      },
      options);
  EXPECT_EQ(report.failure, Failure::none);
}

TEST(Systematic, SaysUpToWhichBoundItHasSeenEverything) {
  auto body = [] {
    std::mutex mutex;
    auto lock_once = [&] { std::lock_guard lock(mutex); };
    run_both(lock_once, lock_once);
  };
  Options options;
  options.portfolio = {{StrategyKind::systematic, 2, 100'000, false, false}};
  Report whole = explore(body, options);
  EXPECT_EQ(whole.failure, Failure::none);
  EXPECT_EQ(whole.complete_bound, 2);
  EXPECT_GT(whole.within_bound, 2u);
  EXPECT_LE(whole.within_bound, whole.schedules);
  options.portfolio[0].budget = 3;
  Report part = explore(body, options);
  EXPECT_EQ(part.complete_bound, -1);
  EXPECT_EQ(part.schedules, 3u);
}

TEST(Exploring, IsTrueOnlyInsideASchedule) {
  EXPECT_FALSE(exploring());
  expect_clean([] {
    require(exploring());
    std::thread thread([] { require(exploring()); });
    thread.join();
  });
  EXPECT_FALSE(exploring());
  fail("outside of a schedule this does nothing", __FILE__, __LINE__);
}

TEST(Explore, LeavesTheProgramThatCalledItAsItWas) {
  int value = 0;
  expect_clean([&] { ++value; });
  EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace explorer
