// The classic small programs of memory models: which outcomes must be found when loads may return older stores, and
// which must never be ([atomics.order], [atomics.fences]).

#include <gmock/gmock.h>
#include <sys/mman.h>

#include <atomic>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "explorer/tests/explored.hpp"

namespace explorer {
namespace {

using ::testing::Contains;

using ::testing::Not;
using ::testing::UnorderedElementsAre;
constexpr auto relaxed = std::memory_order_relaxed, acquire = std::memory_order_acquire,
               release = std::memory_order_release, seq_cst = std::memory_order_seq_cst;

// What a program of threads read, as one number of decimal digits: 10 for r1=1, r2=0.
using Outcomes = std::set<int>;

Outcomes outcomes_of(const std::function<int()>& program) {
  constexpr std::size_t most = 10'000;
  // The schedules run in a child process, and what they saw must come out of it.
  void* memory = ::mmap(nullptr, most, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {};
  auto* seen = static_cast<bool*>(memory);
  Options options;
  options.portfolio = {{StrategyKind::random, 0, 1000, true, false},
                       {StrategyKind::surw, 0, 1000, true, false},
                       {StrategyKind::pos, 0, 1000, true, false}};
  Report report = explore([&] { seen[program()] = true; }, options);
  EXPECT_EQ(report.failure, Failure::none) << report.message;
  Outcomes outcomes;
  for (std::size_t i = 0; i < most; ++i) {
    if (seen[i]) outcomes.insert(static_cast<int>(i));
  }
  ::munmap(memory, most);
  return outcomes;
}

int digits(std::initializer_list<int> each) {
  int number = 0;
  for (int digit : each) number = number * 10 + digit;
  return number;
}

Outcomes store_buffering(std::memory_order store, std::memory_order load, bool fences = false) {
  return outcomes_of([=] {
    std::atomic<int> x = 0, y = 0;
    int r1 = 0, r2 = 0;
    auto run = [=](std::atomic<int>& mine, std::atomic<int>& others, int& result) {
      mine.store(1, store);
      if (fences) std::atomic_thread_fence(seq_cst);
      result = others.load(load);
    };
    run_both([&] { run(x, y, r1); }, [&] { run(y, x, r2); });
    return digits({r1, r2});
  });
}

TEST(StoreBuffering, MayHideBothStoresUnlessTheyAreSequentiallyConsistent) {
  EXPECT_THAT(store_buffering(relaxed, relaxed), UnorderedElementsAre(0, 1, 10, 11));
  EXPECT_THAT(store_buffering(release, acquire), UnorderedElementsAre(0, 1, 10, 11));
  EXPECT_THAT(store_buffering(seq_cst, seq_cst), UnorderedElementsAre(1, 10, 11));
  EXPECT_THAT(store_buffering(relaxed, relaxed, true), UnorderedElementsAre(1, 10, 11));
}

enum class Fenced { neither, writer, reader, both };

Outcomes message_passing(std::memory_order store, std::memory_order load, Fenced fenced = Fenced::neither) {
  return outcomes_of([=] {
    std::atomic<int> data = 0, flag = 0;
    int r1 = 0, r2 = 0;
    run_both(
        [&] {
          data.store(1, relaxed);
          if (fenced == Fenced::writer || fenced == Fenced::both) std::atomic_thread_fence(release);
          flag.store(1, store);
        },
        [&] {
          r1 = flag.load(load);
          if (fenced == Fenced::reader || fenced == Fenced::both) std::atomic_thread_fence(acquire);
          r2 = data.load(relaxed);
        });
    return digits({r1, r2});
  });
}

TEST(MessagePassing, MayShowTheFlagWithoutTheMessageUnlessReleaseMeetsAcquire) {
  EXPECT_THAT(message_passing(relaxed, relaxed), UnorderedElementsAre(0, 1, 10, 11));
  EXPECT_THAT(message_passing(release, relaxed), UnorderedElementsAre(0, 1, 10, 11));
  EXPECT_THAT(message_passing(relaxed, acquire), UnorderedElementsAre(0, 1, 10, 11));
  EXPECT_THAT(message_passing(release, acquire), UnorderedElementsAre(0, 1, 11));
  EXPECT_THAT(message_passing(seq_cst, seq_cst), UnorderedElementsAre(0, 1, 11));
}

TEST(MessagePassing, IsOrderedByAPairOfFencesAndNotByOne) {
  EXPECT_THAT(message_passing(relaxed, relaxed, Fenced::writer), Contains(10));
  EXPECT_THAT(message_passing(relaxed, relaxed, Fenced::reader), Contains(10));
  EXPECT_THAT(message_passing(relaxed, relaxed, Fenced::both), UnorderedElementsAre(0, 1, 11));
  EXPECT_THAT(message_passing(release, relaxed, Fenced::reader), UnorderedElementsAre(0, 1, 11));
  EXPECT_THAT(message_passing(relaxed, acquire, Fenced::writer), UnorderedElementsAre(0, 1, 11));
}

Outcomes independent_reads(std::memory_order store, std::memory_order load) {
  return outcomes_of([=] {
    std::atomic<int> x = 0, y = 0;
    int r1 = 0, r2 = 0, r3 = 0, r4 = 0;
    std::thread write_x([&] { x.store(1, store); });
    std::thread write_y([&] { y.store(1, store); });
    run_both(
        [&] {
          r1 = x.load(load);
          r2 = y.load(load);
        },
        [&] {
          r3 = y.load(load);
          r4 = x.load(load);
        });
    write_x.join();
    write_y.join();
    return digits({r1, r2, r3, r4});
  });
}

TEST(IndependentReadsOfIndependentWrites, MayDisagreeOnTheOrderUnlessSequentiallyConsistent) {
  EXPECT_THAT(independent_reads(relaxed, relaxed), Contains(1010));
  EXPECT_THAT(independent_reads(release, acquire), Contains(1010));
  Outcomes consistent = independent_reads(seq_cst, seq_cst);
  EXPECT_THAT(consistent, Not(Contains(1010)));
  EXPECT_THAT(consistent, Contains(1011));
  EXPECT_THAT(consistent, Contains(1110));
}

Outcomes two_writes_each(std::memory_order order) {
  return outcomes_of([=] {
    std::atomic<int> x = 0, y = 0;
    run_both(
        [&] {
          x.store(1, order);
          y.store(2, order);
        },
        [&] {
          y.store(1, order);
          x.store(2, order);
        });
    return digits({x.load(), y.load()});
  });
}

// Under relaxed it would be allowed that both end as 1. A limit: stores are ordered as they are executed.
TEST(TwoWritesEach, NeverBothEndAsTheFirstOnes) {
  EXPECT_THAT(two_writes_each(seq_cst), UnorderedElementsAre(12, 21, 22));
  EXPECT_THAT(two_writes_each(relaxed), UnorderedElementsAre(12, 21, 22));
}

// A limit: a load reads a store that was executed before it, so that values never come out of the future.
TEST(LoadBuffering, IsNotModelled) {
  Outcomes outcomes = outcomes_of([] {
    std::atomic<int> x = 0, y = 0;
    int r1 = 0, r2 = 0;
    run_both(
        [&] {
          r1 = x.load(relaxed);
          y.store(1, relaxed);
        },
        [&] {
          r2 = y.load(relaxed);
          x.store(1, relaxed);
        });
    return digits({r1, r2});
  });
  EXPECT_THAT(outcomes, UnorderedElementsAre(0, 1, 10));
}

TEST(Coherence, LetsNobodyReadAnOlderValueAfterANewerOne) {
  Outcomes outcomes = outcomes_of([] {
    std::atomic<int> x = 0;
    int r1 = 0, r2 = 0;
    run_both(
        [&] {
          x.store(1, relaxed);
          x.store(2, relaxed);
        },
        [&] {
          r1 = x.load(relaxed);
          r2 = x.load(relaxed);
        });
    return digits({r1, r2});
  });
  EXPECT_THAT(outcomes, UnorderedElementsAre(0, 1, 2, 11, 12, 22));
}

TEST(Coherence, LetsNobodyReadWhatWasBeforeItsOwnStore) {
  Outcomes outcomes = outcomes_of([] {
    std::atomic<int> x = 0;
    int r1 = 0;
    run_both(
        [&] {
          x.store(1, relaxed);
          r1 = x.load(relaxed);
        },
        [&] { x.store(2, relaxed); });
    return r1;
  });
  EXPECT_THAT(outcomes, UnorderedElementsAre(1, 2));
}

TEST(Coherence, CarriesWhatOneReadToWhoeverSynchronisesWithIt) {
  Outcomes outcomes = outcomes_of([] {
    std::atomic<int> x = 0, flag = 0;
    int r1 = 0, r2 = 0, r3 = 0;
    std::thread writer([&] { x.store(1, relaxed); });
    run_both(
        [&] {
          r1 = x.load(relaxed);
          flag.store(1, release);
        },
        [&] {
          r2 = flag.load(acquire);
          r3 = x.load(relaxed);
        });
    writer.join();
    return digits({r1, r2, r3});
  });
  EXPECT_THAT(outcomes, Not(Contains(110)));
  EXPECT_THAT(outcomes, Contains(111));
  EXPECT_THAT(outcomes, Contains(100));
}

TEST(ReadModifyWrite, AlwaysReadsTheLastStore) {
  Outcomes outcomes = outcomes_of([] {
    std::atomic<int> x = 0;
    int r1 = 0, r2 = 0;
    run_both([&] { r1 = x.fetch_add(1, relaxed); }, [&] { r2 = x.fetch_add(1, relaxed); });
    return digits({r1, r2});
  });
  EXPECT_THAT(outcomes, UnorderedElementsAre(1, 10));
}

// Data is written and then flag released as 1; another thread makes 2 of the 1, and whoever acquires the 2 reads data.
Outcomes read_after(const std::function<void(std::atomic<int>&)>& make_two) {
  return outcomes_of([&] {
    std::atomic<int> data = 0, flag = 0;
    int r1 = 0, r2 = 0;
    std::thread writer([&] {
      data.store(1, relaxed);
      flag.store(1, release);
    });
    run_both([&] { make_two(flag); },
             [&] {
               r1 = flag.load(acquire);
               r2 = data.load(relaxed);
             });
    writer.join();
    return digits({r1, r2});
  });
}

TEST(ReleaseSequence, GoesThroughARelaxedReadModifyWriteAndNotThroughAStore) {
  Outcomes exchanged = read_after([](std::atomic<int>& flag) {
    int one = 1;
    flag.compare_exchange_strong(one, 2, relaxed);
  });
  EXPECT_THAT(exchanged, Contains(21));
  EXPECT_THAT(exchanged, Not(Contains(20)));
  Outcomes stored = read_after([](std::atomic<int>& flag) {
    if (flag.load(relaxed) == 1) flag.store(2, relaxed);
  });
  EXPECT_THAT(stored, Contains(21));
  EXPECT_THAT(stored, Contains(20));
}

// C++20 gave up that a later relaxed store of the same thread belongs to the sequence (P0982).
TEST(ReleaseSequence, EndsAtALaterRelaxedStoreOfTheSameThread) {
  Outcomes outcomes = outcomes_of([] {
    std::atomic<int> data = 0, flag = 0;
    int r1 = 0, r2 = 0;
    run_both(
        [&] {
          data.store(1, relaxed);
          flag.store(1, release);
          flag.store(2, relaxed);
        },
        [&] {
          r1 = flag.load(acquire);
          r2 = data.load(relaxed);
        });
    return digits({r1, r2});
  });
  EXPECT_THAT(outcomes, Contains(20));
  EXPECT_THAT(outcomes, Not(Contains(10)));
}

TEST(OldStores, AreAChoiceThatCanBeLeftOut) {
  Options options;
  options.portfolio = {{StrategyKind::random, 0, 2000, false, false}};
  auto store_buffer = [] {
    std::atomic<int> x = 0, y = 0;
    int r1 = 0, r2 = 0;
    run_both(
        [&] {
          x.store(1, relaxed);
          r1 = y.load(relaxed);
        },
        [&] {
          y.store(1, relaxed);
          r2 = x.load(relaxed);
        });
    require(r1 + r2 > 0);
  };
  EXPECT_EQ(explore(store_buffer, options).failure, Failure::none);
  options.portfolio[0].old_stores = true;
  EXPECT_EQ(explore(store_buffer, options).failure, Failure::assertion);
}

// A load may be late, but not for ever ([intro.progress]/18).
TEST(OldStores, AreSeenAfterAWhile) {
  expect_clean([] {
    std::atomic<bool> done = false;
    run_both([&] { done.store(true, relaxed); },
             [&] {
               while (!done.load(relaxed)) {
               }
             });
  });
}

}  // namespace
}  // namespace explorer
