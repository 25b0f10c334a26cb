#include "exercise/test.hpp"

#include <safe_counter.hpp>

using interleave::Rendezvous;

TEST(SafeCounter, CountsInOneThread) {
  SafeCounter counter;
  EXPECT_EQ(counter.value(), 0) << "a counter begins at 0";
  counter.increment();
  counter.increment();
  EXPECT_EQ(counter.value(), 2) << "after two increments";
  counter.update([](long n) { return n * 10; });
  EXPECT_EQ(counter.value(), 20) << "2, after an update to ten times as much";
}

TEST(SafeCounter, RefusesToGoBeyondTheLimitAndGoesOn) {
  SafeCounter counter;
  EXPECT_TRUE(counter.increment_below(1)) << "0 is less than the limit 1";
  EXPECT_FALSE(counter.increment_below(1)) << "1 is not less than the limit 1";
  EXPECT_EQ(counter.value(), 1) << "the refused one adds nothing";
  EXPECT_TRUE(counter.increment_below(2)) << "1 is less than the limit 2";
  EXPECT_EQ(counter.value(), 2);
}

TEST(SafeCounter, PassesAnExceptionOnAndGoesOn) {
  SafeCounter counter;
  counter.increment();
  EXPECT_THROW(counter.update([](long) -> long { throw std::domain_error("no such number"); }), std::domain_error)
      << "the exception of `change` comes out of update()";
  counter.increment();
  EXPECT_EQ(counter.value(), 2) << "1, an update that threw, and one more";
}

TEST(SafeCounter, KeepsNobodyFromAnotherCounter) {
  Rendezvous both_inside(2, "two threads in update() of two counters at the same time");
  auto meet = [&](long n) {
    both_inside.arrive_and_wait();
    return n + 1;
  };
  SafeCounter one, other;
  std::thread first([&] { one.update(meet); });
  std::thread second([&] { other.update(meet); });
  first.join(), second.join();
  EXPECT_EQ(one.value() + other.value(), 2) << "the sum of two counters, each updated to n + 1";
}

INTERLEAVING_TEST(SafeCounter, CountsEveryIncrement) {
  SafeCounter counter;
  auto twice = [&] {
    counter.increment();
    counter.increment();
  };
  std::thread one(twice), two(twice);
  one.join(), two.join();
  EXPECT_EQ(counter.value(), 4) << "two threads with two increments each";
}

INTERLEAVING_TEST(SafeCounter, CanBeReadWhileOthersCount) {
  SafeCounter counter;
  std::thread writer([&] {
    counter.increment();
    counter.increment();
  });
  long first = counter.value();
  long second = counter.value();
  EXPECT_TRUE(0 <= first && first <= second && second <= 2)
      << "read one after the other while another thread counts to 2: " << first << " and " << second;
  writer.join();
}

INTERLEAVING_TEST(SafeCounter, StaysWithinTheLimit) {
  SafeCounter counter;
  std::atomic<int> successes = 0;
  auto one_place = [&] { successes += counter.increment_below(1) ? 1 : 0; };
  std::thread one(one_place), two(one_place);
  one.join(), two.join();
  EXPECT_EQ(counter.value(), 1) << "two threads called increment_below(1)";
  EXPECT_EQ(successes, 1) << "times that increment_below(1) said true";
}

INTERLEAVING_TEST(SafeCounter, UpdatesAsAWhole) {
  SafeCounter counter;
  std::atomic<int> calls = 0;
  auto add = [&](long amount) {
    counter.update([&calls, amount](long n) {
      ++calls;
      return n + amount;
    });
  };
  std::thread one([&] { add(10); }), two([&] { add(100); });
  counter.increment();
  one.join(), two.join();
  EXPECT_EQ(counter.value(), 111) << "one thread updates to n + 10, one to n + 100, and one increments";
  EXPECT_EQ(calls, 2) << "calls of `change` in two updates";
}

TEST(CountInThreads, Counts400000InFourThreads) {
  SafeCounter counter;
  count_in_threads(counter, 4, 100'000);
  EXPECT_EQ(counter.value(), 400'000) << "4 threads with 100,000 increments each";
}
