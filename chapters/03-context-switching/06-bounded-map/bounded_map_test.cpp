#include "exercise/test.hpp"

#include <bounded_map.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;

namespace {

// One type of function for nearly all: map() of each is what the compiler of these tests works at longest.
using Function = std::function<int(int)>;

const Function itself = [](int n) { return n; };

std::vector<int> numbers(int count) {
  std::vector<int> items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), 0);
  return items;
}

std::size_t cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  ::sched_getaffinity(0, sizeof(mask), &mask);
  return static_cast<std::size_t>(std::max(CPU_COUNT(&mask), 2));  // a bound of one would show too little
}

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

// By type alone: what is in an exception is freed by one of two threads, and ThreadSanitizer does not see how they
// settle which.
struct FailedAt1 {};
struct FailedAt3 {};

}  // namespace

TEST(BoundedMap, RefusesToHaveNoWorkers) { EXPECT_THROW(BoundedMap(0), std::invalid_argument); }

TEST(BoundedMap, ReturnsAtOnceWhenThereAreNoItems) {
  BoundedMap bounded(1);
  EXPECT_TRUE(bounded.map(numbers(0), itself).empty());
}

TEST(BoundedMap, LetsAFunctionCallMapOnItsOnlyWorker) {
  BoundedMap bounded(1);
  Function sum_below = [&](int n) {
    std::vector<int> squares = bounded.map(numbers(n), Function([](int i) { return i * i; }));
    return std::accumulate(squares.begin(), squares.end(), 0);
  };
  EXPECT_EQ(bounded.map(std::vector<int>{1, 2, 3}, sum_below), (std::vector<int>{0, 1, 5})) << "sums of squares";
}

INTERLEAVING_TEST(BoundedMap, ReturnsWhenTheLastItemIsDone) {
  BoundedMap bounded(1);
  EXPECT_EQ(bounded.map(std::vector<int>{7}, itself), std::vector<int>{7});
}

INTERLEAVING_TEST(BoundedMap, WakesAWorkerForEachItem) {
  BoundedMap bounded(2);
  std::latch both(2);  // a deadlock here: there are two workers, but the two items never run at the same time
  Function meet = [&](int n) {
    both.arrive_and_wait();
    return n;
  };
  EXPECT_EQ(bounded.map(std::vector<int>{7, 7}, meet), (std::vector<int>{7, 7}));
}

INTERLEAVING_TEST(BoundedMap, ServesSeveralCallersAtOnce) {
  BoundedMap bounded(1);
  std::thread other([&] { EXPECT_EQ(bounded.map(std::vector<int>{1}, itself), std::vector<int>{1}); });
  EXPECT_EQ(bounded.map(std::vector<int>{2}, itself), std::vector<int>{2});
  other.join();
}

INTERLEAVING_TEST(BoundedMap, MayReturnTruthValues) {
  BoundedMap bounded(2);
  EXPECT_EQ(bounded.map(std::vector<int>{7, 7}, [](int n) { return n == 7; }), (std::vector<bool>{true, true}));
}

INTERLEAVING_TEST(BoundedMap, ThrowsWhenAllCallsHaveEnded) {
  std::latch both(2);
  std::atomic<int> ended = 0;
  BoundedMap bounded(2);
  Function fail = [&](int n) {
    both.arrive_and_wait();
    if (n == 0) throw FailedAt1();
    return ++ended;
  };
  EXPECT_THROW(bounded.map(std::vector<int>{0, 1}, fail), FailedAt1);
  EXPECT_EQ(ended, 1) << "map() has thrown, and the call for the second item has not ended";
}

TEST(BoundedMap, ReturnsTheResultsInTheOrderOfTheItems) {
  BoundedMap bounded(2);
  Rendezvous both(2, "the third item beside the first, in the worker that is done with the second");
  std::vector<int> results = bounded.map(numbers(4), Function([&](int n) {
                                           if (n == 0 || n == 2) both.arrive_and_wait();
                                           return n;
                                         }));
  EXPECT_EQ(results, numbers(4)) << "the call for the second item ended before that for the first";
}

TEST(BoundedMap, LeavesTheItemsToItsWorkers) {
  const pid_t caller = ::gettid();
  std::latch caller_sleeps(1);
  BoundedMap bounded(1);
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();
    caller_sleeps.count_down();
  });
  std::vector<pid_t> threads = bounded.map(numbers(2), [&](int) {
    if (::gettid() != caller) caller_sleeps.wait();
    return ::gettid();
  });
  onlooker.call_is_over();
  for (pid_t thread : threads) EXPECT_NE(thread, caller) << "map() called the function in the thread that called it";
}

TEST(BoundedMap, KeepsToItsWorkers) {
  for (std::size_t workers : {std::size_t{1}, cpus()}) {
    const std::ptrdiff_t threads_before = threads_of_this_process();
    BoundedMap bounded(workers);
    std::mutex mutex;
    std::set<pid_t> threads;
    std::ptrdiff_t most_threads = 0;
    Function look_around = [&](int n) {
      std::lock_guard lock(mutex);
      threads.insert(::gettid());
      if (n % 1000 == 0) most_threads = std::max(most_threads, threads_of_this_process());
      return n;
    };
    std::vector<int> results = bounded.map(numbers(10'000), Function([&](int n) {
                                             if (n % 100 == 0) bounded.map(numbers(2), look_around);
                                             return look_around(n);
                                           }));
    EXPECT_EQ(results, numbers(10'000));
    EXPECT_LE(threads.size(), workers) << "threads that called a function for 10,000 items";
    EXPECT_LE(most_threads, threads_before + static_cast<std::ptrdiff_t>(workers)) << "threads at the same time";
  }
}

TEST(BoundedMap, HelpsANestedCallWithIdleWorkers) {
  BoundedMap bounded(2);
  Rendezvous both(2, "2 workers, so both items of the nested call at the same time");
  bounded.map(numbers(1), Function([&](int) {
                bounded.map(numbers(2), Function([&](int n) {
                              both.arrive_and_wait();
                              return n;
                            }));
                return 0;
              }));
}

TEST(BoundedMap, SleepsWhileANestedCallIsInOtherHands) {
  std::latch seen(1);
  BoundedMap bounded(2);
  Rendezvous both(2, "2 workers, so both items of the nested call at the same time");
  Onlooker onlooker([&](Onlooker& it) {
    if (it.wait_until_asleep().what == Onlooker::busy) {
      it.fail(FailureKind::wrong_answer, "a worker whose nested call is in another worker's hands uses the CPU");
    }
    seen.count_down();
  });
  bounded.map(numbers(1), Function([&](int) {
                const pid_t outer = ::gettid();
                bounded.map(numbers(2), Function([&](int n) {
                              both.arrive_and_wait();
                              if (::gettid() != outer) seen.wait();
                              return n;
                            }));
                return 0;
              }));
  onlooker.call_is_over();
}

TEST(BoundedMap, KeepsItsStackLowInNestedCalls) {
  BoundedMap bounded(1);
  int inside = 0, deepest = 0;  // of the only worker
  bounded.map(numbers(100), Function([&](int) {
                deepest = std::max(deepest, ++inside);
                bounded.map(numbers(2), itself);
                --inside;
                return 0;
              }));
  EXPECT_EQ(deepest, 1) << "items of the outer call that the worker was inside of at once, one on top of the other";
}

TEST(BoundedMap, CallsForTheOtherItemsAlsoAfterAnException) {
  BoundedMap bounded(1);
  int calls = 0;  // by the only worker
  Function fail = [&](int n) {
    ++calls;
    if (n == 1) throw FailedAt1();
    return n;
  };
  EXPECT_THROW(bounded.map(numbers(5), fail), FailedAt1);
  EXPECT_EQ(calls, 5) << "calls for 5 items, one of which throws";
}

TEST(BoundedMap, ThrowsTheExceptionOfTheFirstItem) {
  BoundedMap bounded(2);
  std::latch third_has_failed(1);
  Function fail = [&](int n) {
    if (n == 1) {
      third_has_failed.wait();
      throw FailedAt1();
    }
    if (n == 3) throw FailedAt3();
    if (n == 4) third_has_failed.count_down();
    return n;
  };
  EXPECT_THROW(bounded.map(numbers(5), fail), FailedAt1) << "item 3 failed first in time, item 1 in order";
}
