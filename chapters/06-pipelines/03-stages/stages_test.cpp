#include "exercise/test.hpp"

#include <stages.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;
using namespace std::chrono_literals;

namespace {

// A number that can be moved and not copied.
struct Item {
  explicit Item(int number) : value(number) {}
  Item(Item&&) = default;
  Item& operator=(Item&&) = default;

  int value;
};

using Source = std::function<std::optional<Item>()>;
using Work = std::function<Item(Item)>;
using Stages = std::vector<Stage<Item>>;
using Batch = std::vector<Item>;
using Consume = std::function<bool(Batch)>;

// By type alone: what is in the exception is freed by one of two threads, and ThreadSanitizer does not see how they
// settle which.
struct Failed {};

// More items than any test needs: a source that goes on for ever, and yet comes to an end.
constexpr int endless = 1000;

// 0, 1, 2, ...; counts in `taken`, which is atomic if another thread looks at it meanwhile.
Source numbers_below(int end, auto& taken) {
  return [end, &taken]() -> std::optional<Item> {
    if (taken == end) return std::nullopt;
    return Item(taken++);
  };
}

Work unchanged() {
  return [](Item item) { return item; };
}

std::vector<int> values(const Batch& batch) {
  std::vector<int> all;
  for (const Item& item : batch) all.push_back(item.value);
  return all;
}

// Returns when every other thread has gone as far as it can without the calling one.
void wait_until_nothing_moves() {
  std::latch seen(1);
  Onlooker onlooker([&](Onlooker& it) {
    if (it.wait_until_asleep().what == Onlooker::busy) {
      it.fail(FailureKind::wrong_answer, "a step that can do nothing uses the CPU; it must sleep");
    }
    seen.count_down();
  });
  seen.wait();
  onlooker.call_is_over();
}

}  // namespace

INTERLEAVING_TEST(RunStages, CallsEachStepOnceAtATime) {
  int taken = 0, worked = 0, consumed = 0;  // nothing guards them: each is for one step alone
  Work count_work = [&](Item item) {
    ++worked;
    return item;
  };
  auto count = [&](Batch batch) {
    consumed += static_cast<int>(batch.size());
    return true;
  };
  run_stages<Item>(numbers_below(2, taken), {{count_work, 1}}, count);
  EXPECT_EQ(worked, 2) << "calls of the stage's work; the source gave 2 items";
  EXPECT_EQ(consumed, 2) << "items consumed; the source gave 2";
}

INTERLEAVING_TEST(RunStages, WakesEachStepForWhatItWaitsFor) {
  int taken = 0, consumed = 0;
  auto count = [&](Batch batch) {
    consumed += static_cast<int>(batch.size());
    return true;
  };
  run_stages<Item>(numbers_below(3, taken), {}, count, {.batch = 1, .capacity = 1});
  EXPECT_EQ(consumed, 3) << "items";
}

TEST(RunStages, RefusesSizesOfZero) {
  int taken = 0;
  auto run = [&](std::size_t workers, std::size_t batch, std::size_t capacity) {
    run_stages<Item>(numbers_below(1, taken), {{unchanged(), workers}}, [](Batch) { return true; },
                     {.batch = batch, .capacity = capacity});
  };
  EXPECT_THROW(run(0, 1, 1), std::invalid_argument) << "a stage with no workers";
  EXPECT_THROW(run(1, 0, 1), std::invalid_argument) << "batches of no items";
  EXPECT_THROW(run(1, 1, 0), std::invalid_argument) << "queues without room";
  EXPECT_EQ(taken, 0) << "items taken from the source, although the pipeline was refused";
}

TEST(RunStages, GivesTheConsumerEveryItemInBatches) {
  int taken = 0;
  std::vector<std::vector<int>> batches;
  Consume keep = [&, caller = std::this_thread::get_id()](Batch batch) {
    EXPECT_EQ(std::this_thread::get_id(), caller) << "the thread that consume() is called in";
    batches.push_back(values(batch));
    return true;
  };
  Stages stages = {{[](Item item) { return Item(item.value + 1); }}, {[](Item item) { return Item(item.value * 10); }}};
  StagesReport report = run_stages<Item>(numbers_below(5, taken), stages, keep, {.batch = 2, .capacity = 2});
  EXPECT_EQ(batches, (std::vector<std::vector<int>>{{10, 20}, {30, 40}, {50}})) << "0 to 4, plus 1, times 10, by twos";
  EXPECT_EQ(report.batches, 3U);

  batches.clear();
  taken = 0;
  run_stages<Item>(numbers_below(4, taken), {}, keep, {.batch = 2, .capacity = 2});
  EXPECT_EQ(batches, (std::vector<std::vector<int>>{{0, 1}, {2, 3}})) << "0 to 3 by twos, and no stages";
}

TEST(RunStages, HasAllStepsAtWorkAtTheSameTime) {
  Rendezvous all(5, "the source, 2 workers of the first stage, 1 of the second and the consumer, all at work at once");
  int calls = 0;
  Source source = [&]() -> std::optional<Item> {
    if (calls == 4) all.arrive_and_wait();
    if (calls == 8) return std::nullopt;
    return Item(calls++);
  };
  // Item 0 gets as far as the consumer, 1 as far as the second stage, 2 and 3 as far as the first.
  auto meets = [&](int from, int to) {
    return [&all, from, to](Item item) {
      if (from <= item.value && item.value <= to) all.arrive_and_wait();
      return item;
    };
  };
  run_stages<Item>(source, {{meets(2, 3), 2}, {meets(1, 1), 1}}, [&](Batch batch) {
    if (batch.at(0).value == 0) all.arrive_and_wait();
    return true;
  });
}

TEST(RunStages, RunsAheadUntilTheQueuesAreFull) {
  Rendezvous four_taken(2, "while the stage has the first item, the source is called for the three that have room");
  int taken = 0;
  Source source = [&, numbers = numbers_below(5, taken)] {
    if (taken == 3) four_taken.arrive_and_wait();
    return numbers();
  };
  Work meet = [&](Item item) {
    if (item.value == 0) four_taken.arrive_and_wait();
    return item;
  };
  run_stages<Item>(source, {{meet}}, [](Batch) { return true; }, {.batch = 1, .capacity = 3});
}

TEST(RunStages, MakesTheNextBatchWhileOneIsConsumed) {
  Rendezvous ready(2, "while a batch of 4 is consumed, the source gives 4 more items for the next one");
  int taken = 0;
  Source source = [&, numbers = numbers_below(8, taken)] {
    if (taken == 7) ready.arrive_and_wait();
    return numbers();
  };
  Consume consume = [&](Batch batch) {
    if (batch.at(0).value == 0) ready.arrive_and_wait();
    return true;
  };
  run_stages<Item>(source, {}, consume, {.batch = 4, .capacity = 1});
}

TEST(RunStages, KeepsTheOrderOfTheSource) {
  std::latch second_done(1);
  Work overtake = [&](Item item) {
    if (item.value == 0) second_done.wait();
    if (item.value == 1) second_done.count_down();
    return item;
  };
  int taken = 0;
  std::vector<int> consumed;
  run_stages<Item>(numbers_below(4, taken), {{overtake, 2}}, [&](Batch batch) {
    consumed.push_back(batch.at(0).value);
    return true;
  });
  EXPECT_EQ(consumed, (std::vector{0, 1, 2, 3})) << "the first worker was not done before the second was";
}

TEST(RunStages, HoldsNoMoreThanTheQueuesWhileOneWorkerIsBusy) {
  std::atomic<int> taken = 0;
  int consumed = 0;
  Work slow_at_first = [&](Item item) {
    if (item.value == 0) {
      wait_until_nothing_moves();
      EXPECT_LE(taken, 1 + 2 + 2 + 2) << "items taken: 1 in the hands of the source, 2 in its queue, 2 in those of 2 "
                                         "workers, and 2 behind them that wait for the first one";
    }
    return item;
  };
  auto count = [&](Batch) { return ++consumed > 0; };
  run_stages<Item>(numbers_below(endless, taken), {{slow_at_first, 2}}, count, {.batch = 1, .capacity = 2});
  EXPECT_EQ(consumed, endless) << "batches of one item each";
}

TEST(RunStages, HoldsNoMoreThanTheQueuesWhileTheConsumerIsBusy) {
  std::atomic<int> taken = 0;
  int consumed = 0;
  auto slow_at_first = [&](Batch batch) {
    if (batch.at(0).value == 0) {
      wait_until_nothing_moves();
      EXPECT_LE(taken, 3 + 1 + 2 + 2 + 2 + 3 + 2 * 3)
          << "items taken: 3 with the consumer, 1 in the hands of the source, 2 in its queue, 2 in those of 2 workers, "
             "2 in their queue, a batch of 3 that is being made, and 2 batches in the last queue";
    }
    consumed += static_cast<int>(batch.size());
    return true;
  };
  run_stages<Item>(numbers_below(endless, taken), {{unchanged(), 2}}, slow_at_first, {.batch = 3, .capacity = 2});
  EXPECT_EQ(consumed, endless) << "items, in batches of 3";
}

TEST(RunStages, EndsWhenTheConsumerHasEnough) {
  int taken = 0, consumed = 0;
  auto enough = [&](Batch) {
    if (++consumed < 3) return true;
    wait_until_nothing_moves();  // now every queue is full
    return false;
  };
  StagesReport report =
      run_stages<Item>(numbers_below(endless, taken), {{unchanged()}}, enough, {.batch = 1, .capacity = 1});
  EXPECT_EQ(consumed, 3) << "calls of consume(); the third said that it is enough";
  EXPECT_EQ(report.batches, 3U);
  EXPECT_LE(taken, 3 + 1 + 1 + 1 + 1 + 1 + 1) << "items taken: 3 were consumed, 1 in the hands of the source, 1 in its "
                                                 "queue, 1 with the worker, 1 in its queue, 1 made a batch, 1 behind";
}

TEST(RunStages, TellsHowLongTheConsumerWasIdle) {
  std::atomic<std::chrono::milliseconds::rep> now = 500;
  std::counting_semaphore<3> go_on(0);
  int taken = 0;
  Source source = [&, numbers = numbers_below(2, taken)] {
    go_on.acquire();
    return numbers();
  };
  Consume consume = [&](Batch) {
    now += 1000;
    return true;
  };
  Onlooker onlooker([&](Onlooker& it) {
    for (int milliseconds : {10, 20, 40}) {  // for the first item, for the second, and for the end
      if (it.wait_until_asleep().what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "the pipeline spins");
      now += milliseconds;
      go_on.release();
    }
  });
  StagesOptions options;
  options.clock = [&, caller = std::this_thread::get_id()] {
    EXPECT_EQ(std::this_thread::get_id(), caller) << "the thread that asks the clock";
    return std::chrono::milliseconds(now);
  };
  StagesReport report = run_stages<Item>(source, {{unchanged()}}, consume, options);
  onlooker.call_is_over();
  EXPECT_EQ(report.idle, 70ms) << "waited 10 ms for the first batch, 20 ms for the second and 40 ms for the end";
  EXPECT_EQ(report.busy, 2000ms) << "2 batches, 1000 ms each";
}

TEST(RunStages, ThrowsWhatAStageThrewAfterTheItemsBefore) {
  int taken = 0;
  std::vector<int> consumed;
  Work fail = [](Item item) {
    if (item.value == 2) throw Failed();
    return item;
  };
  auto consume = [&](Batch batch) {
    wait_until_nothing_moves();  // the stage has failed by now
    consumed.push_back(batch.at(0).value);
    return true;
  };
  EXPECT_THROW(run_stages<Item>(numbers_below(endless, taken), {{fail}, {unchanged()}}, consume), Failed)
      << "the first stage failed at item 2";
  EXPECT_EQ(consumed, (std::vector{0, 1})) << "the items before the one that failed, and nothing after it";
  EXPECT_LE(taken, 2 + 1 + 2 + 1) << "items taken: 2 before the one that failed, that one, 2 in the queue of the "
                                     "source, 1 in its hands; the stage took no other";
}

TEST(RunStages, ThrowsWhatTheSourceThrew) {
  int taken = 0;
  std::vector<std::vector<int>> batches;
  Source source = [&, numbers = numbers_below(endless, taken)] {
    if (taken == 5) throw Failed();
    return numbers();
  };
  auto run = [&] {
    run_stages<Item>(source, {{unchanged()}},
                     [&](Batch batch) {
                       batches.push_back(values(batch));
                       return true;
                     },
                     {.batch = 2, .capacity = 2});
  };
  EXPECT_THROW(run(), Failed) << "the source failed at item 5";
  EXPECT_EQ(batches, (std::vector<std::vector<int>>{{0, 1}, {2, 3}})) << "batches that were complete before item 5";
}

TEST(RunStages, ThrowsTheEarliestOfSeveralErrors) {
  struct FailedLater {};
  std::latch later_failed(1);
  Work fail = [&](Item item) -> Item {
    if (item.value == 0) later_failed.wait();
    if (item.value == 0) throw Failed();
    later_failed.count_down();
    throw FailedLater();
  };
  int taken = 0;
  auto consume = [](Batch) { return true; };
  EXPECT_THROW(run_stages<Item>(numbers_below(2, taken), {{fail, 2}}, consume), Failed)
      << "item 1 failed first in time, item 0 in the order of items";
}

TEST(RunStages, ThrowsWhatTheConsumerThrew) {
  int taken = 0;
  auto fail = [](Batch) -> bool {
    wait_until_nothing_moves();
    throw Failed();
  };
  EXPECT_THROW(run_stages<Item>(numbers_below(endless, taken), {{unchanged()}}, fail), Failed);
}

INTERLEAVING_TEST(RunStages, WakesTheWorkerWhoseTurnItIs) {
  int taken = 0, consumed = 0;
  auto count = [&](Batch) { return ++consumed > 0; };
  run_stages<Item>(numbers_below(3, taken), {{unchanged(), 2}}, count, {.batch = 1, .capacity = 1});
  EXPECT_EQ(consumed, 3) << "batches of one item each";
}

INTERLEAVING_TEST(RunStages, WakesEveryStepWhenTheConsumerStops) {
  int taken = 0;
  run_stages<Item>(numbers_below(endless, taken), {}, [](Batch) { return false; }, {.batch = 1, .capacity = 1});
}

INTERLEAVING_TEST(RunStages, WakesEveryStepWhenAStageFails) {
  int taken = 0;
  Work fail = [](Item) -> Item { throw Failed(); };
  auto consume = [](Batch) { return true; };
  EXPECT_THROW(run_stages<Item>(numbers_below(endless, taken), {{fail}}, consume, {.batch = 1, .capacity = 1}), Failed);
}
