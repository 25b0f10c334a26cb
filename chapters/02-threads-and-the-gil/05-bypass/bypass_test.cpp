#include "exercise/test.hpp"

#include <sys/eventfd.h>

#include <bypass.hpp>

using interleave::FailingFork;
using interleave::FailureKind;
using interleave::in_parent;
using interleave::Rendezvous;
using interleave::Shared;

namespace {

using Map = std::vector<Value>(std::span<const Value>, int, const Program&);
using Values = std::vector<Value>;

Values numbers(int count) {
  Values items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), Value{0});
  return items;
}

Value square(Value item) { return item * item; }

Values squares_of(const Values& items) {
  Values results;
  for (Value item : items) results.push_back(square(item));
  return results;
}

Values call(Map& map, const Values& items, int workers, const Program& program) {
  return in_parent([&] { return map(items, workers, program); });
}

void evaluates_each_item_once(Map& map) {
  for (auto [count, workers] : {std::pair{6, 3}, {7, 3}, {8, 3}, {5, 4}, {2, 1}}) {
    Values items = numbers(count);
    std::string split = std::to_string(count) + " items, " + std::to_string(workers) + " workers";
    Shared<std::array<std::atomic<int>, 8>> calls;
    Values results = call(map, items, workers, [&](Value item) {
      (*calls)[static_cast<std::size_t>(item)].fetch_add(1, std::memory_order_relaxed);
      return square(item);
    });
    std::sort(results.begin(), results.end());  // their order is the business of another test
    EXPECT_EQ(results, squares_of(items)) << "the squares of the items: " << split;
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ((*calls)[static_cast<std::size_t>(i)], 1) << "evaluations of item " << i << ": " << split;
    }
  }
}

void evaluates_in_an_interpreter(Map& map) {
  Shared<std::atomic<int>> outside;
  call(map, numbers(4), 2, [&](Value) {
    if (Interpreter::current() == nullptr) ++*outside;
    return Value{0};
  });
  EXPECT_EQ(*outside, 0) << FailureKind::forbidden_shortcut
                         << "items that were run without an interpreter, and so without any GIL: call evaluate()";
}

// An even split is not possible, and yet each of the workers has something to do.
void evaluates_on_all_workers_at_the_same_time(Map& map) {
  Rendezvous all_inside(4, "4 workers in the evaluator at the same time (5 items, 4 workers)");
  call(map, numbers(5), 4, [&](Value) {
    all_inside.arrive_and_wait();
    return Value{0};
  });
}

// Item 0 is over after two others have begun, the first of which is then over as well.
void returns_the_results_in_the_order_of_the_items(Map& map) {
  int others = ::eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
  Values items = numbers(4);
  Values results = call(map, items, 2, [&](Value item) {
    std::uint64_t one = 1;
    if (item != 0) EXPECT_EQ(::write(others, &one, sizeof(one)), 8);
    for (int i = 0; item == 0 && i < 2; ++i) EXPECT_EQ(::read(others, &one, sizeof(one)), 8);
    return square(item);
  });
  ::close(others);
  EXPECT_EQ(results, squares_of(items))
      << "in the order of the items; the result of item 0 was not the first to be there";
}

void tells_which_item_failed(Map& map) {
  for (Value bad : {Value{1}, Value{4}}) {
    try {
      call(map, numbers(6), 3, [&](Value item) {
        if (item == bad) throw std::runtime_error("no result for you");
        return square(item);
      });
      ADD_FAILURE() << "item " << bad << " threw, so the map must throw MapError";
    } catch (const MapError& error) {
      EXPECT_EQ(error.item(), static_cast<std::size_t>(bad)) << "the place of the item that threw among all the items";
      EXPECT_NE(std::string(error.what()).find("no result for you"), std::string::npos)
          << "what the exception said must be in what(), which is: " << error.what();
    }
  }
}

void tells_of_whatever_is_thrown(Map& map) {
  try {
    call(map, numbers(2), 2, [](Value item) { return item == 1 ? throw 42 : item; });
    ADD_FAILURE() << "item 1 threw an int, so the map must throw MapError";
  } catch (const MapError& error) {
    EXPECT_EQ(error.item(), 1U);
    EXPECT_NE(std::string(error.what()).find("unknown exception"), std::string::npos) << error.what();
  }
}

void refuses_less_than_one_worker(Map& map) {
  for (int workers : {0, -1}) {
    EXPECT_THROW(call(map, numbers(2), workers, square), std::invalid_argument) << workers << " workers, 2 items";
    EXPECT_THROW(call(map, {}, workers, square), std::invalid_argument) << workers << " workers, no items";
  }
}

// A worker that ends at item 5 of 6.
void tells_at_which_item_a_worker_ended(void (*end)()) {
  try {
    call(process_map, numbers(6), 3, [&](Value item) {
      if (item == 5) end();
      return square(item);
    });
    ADD_FAILURE() << "the worker's process ended at item 5, so process_map must throw MapError";
  } catch (const MapError& error) {
    EXPECT_EQ(error.item(), 5U) << "the item that the process was at when it ended";
  }
}

}  // namespace

TEST(InterpreterMap, EvaluatesEachItemOnce) { evaluates_each_item_once(interpreter_map); }

TEST(InterpreterMap, EvaluatesInAnInterpreter) { evaluates_in_an_interpreter(interpreter_map); }

TEST(InterpreterMap, EvaluatesOnAllWorkersAtTheSameTime) { evaluates_on_all_workers_at_the_same_time(interpreter_map); }

TEST(InterpreterMap, MakesOneInterpreterForEachWorker) {
  for (auto [count, workers] : {std::pair{6, 2}, {2, 6}, {0, 2}}) {
    int before = Interpreter::made();
    call(interpreter_map, numbers(count), workers, square);
    EXPECT_EQ(Interpreter::made() - before, std::min(count, workers))
        << "interpreters made for " << count << " items and " << workers << " workers";
  }
}

TEST(InterpreterMap, ReturnsTheResultsInTheOrderOfTheItems) {
  returns_the_results_in_the_order_of_the_items(interpreter_map);
}

TEST(InterpreterMap, TellsWhichItemFailed) { tells_which_item_failed(interpreter_map); }

TEST(InterpreterMap, TellsOfWhateverIsThrown) { tells_of_whatever_is_thrown(interpreter_map); }

TEST(InterpreterMap, TellsOfOneOfManyFailures) {
  try {
    call(interpreter_map, numbers(8), 4,
         [](Value item) -> Value { throw std::runtime_error("failure " + std::to_string(item)); });
    ADD_FAILURE() << "all items threw, so interpreter_map must throw MapError";
  } catch (const MapError& error) {
    std::string expected = "failure " + std::to_string(error.item());
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos)
        << "the error is of item " << error.item() << ", but says: " << error.what();
  }
}

TEST(InterpreterMap, RefusesLessThanOneWorker) { refuses_less_than_one_worker(interpreter_map); }

TEST(ProcessMap, EvaluatesEachItemOnce) { evaluates_each_item_once(process_map); }

TEST(ProcessMap, EvaluatesInAnInterpreter) { evaluates_in_an_interpreter(process_map); }

TEST(ProcessMap, EvaluatesOnAllWorkersAtTheSameTime) { evaluates_on_all_workers_at_the_same_time(process_map); }

TEST(ProcessMap, ReturnsTheResultsInTheOrderOfTheItems) { returns_the_results_in_the_order_of_the_items(process_map); }

TEST(ProcessMap, EvaluatesInAChildProcessForEachWorker) {
  Rendezvous all_inside(3, "3 workers in the evaluator at the same time");
  Values pids = call(process_map, numbers(3), 3, [&](Value) {
    all_inside.arrive_and_wait();
    return Value{::getppid()} << 32 | ::getpid();
  });
  for (Value& both : pids) {
    EXPECT_EQ(both >> 32, ::getpid()) << "the parent of the process that evaluated an item: the one that called you";
  }
  EXPECT_EQ(std::set<Value>(pids.begin(), pids.end()).size(), 3U) << "processes that evaluated";
}

TEST(ProcessMap, StartsNoMoreProcessesThanItems) {
  for (int count : {3, 0}) {
    FailingFork one_more_fails(count);
    EXPECT_EQ(call(process_map, numbers(count), 8, square), squares_of(numbers(count))) << count << " items, 8 workers";
  }
}

TEST(ProcessMap, ReturnsMoreResultsThanAPipeHolds) {
  Values items = numbers(20'000);
  EXPECT_TRUE(call(process_map, items, 1, square) == squares_of(items)) << "the squares of 0 to 19999";
}

TEST(ProcessMap, TellsWhichItemFailed) { tells_which_item_failed(process_map); }

TEST(ProcessMap, TellsOfWhateverIsThrown) { tells_of_whatever_is_thrown(process_map); }

TEST(ProcessMap, TellsAtWhichItemASignalEndedAWorker) {
  tells_at_which_item_a_worker_ended([] { ::raise(SIGKILL); });
}

TEST(ProcessMap, TellsAtWhichItemAWorkerEndedItself) {
  tells_at_which_item_a_worker_ended([] { ::_exit(0); });
}

TEST(ProcessMap, LeavesNothingBehindWhenAProcessCannotBeStarted) {
  FailingFork third_fails(2);
  try {
    call(process_map, numbers(3), 3, square);
    ADD_FAILURE() << "the third fork() failed with EAGAIN, so process_map must throw std::system_error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the code of the exception is the error of fork()";
  }
}

TEST(ProcessMap, RefusesLessThanOneWorker) { refuses_less_than_one_worker(process_map); }
