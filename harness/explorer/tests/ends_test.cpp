// How a schedule may end other than by a return: each has its kind of failure, and none is a hang or a pass.

#include <gmock/gmock.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "explorer/tests/explored.hpp"

namespace explorer {
namespace {

using ::testing::HasSubstr;

TEST(NotModelled, IsAReadThatCanBlock) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Report report = expect_failure(Failure::unsupported, [&] {
    std::thread reader([&] {
      char byte = 0;
      require(::read(ends[0], &byte, 1) == 1);
    });
    reader.join();
  });
  EXPECT_THAT(report.message, HasSubstr("read()"));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(NotModelled, IsANewProcess) {
  Report report = expect_failure(Failure::unsupported, [] {
    if (::fork() == 0) ::_exit(0);
  });
  EXPECT_THAT(report.message, HasSubstr("fork()"));
}

TEST(NotModelled, AreThreadsThatAreEndedByForce) {
  Report by_itself = expect_failure(Failure::unsupported, [] {
    std::thread thread([] { ::pthread_exit(nullptr); });
    thread.join();
  });
  EXPECT_THAT(by_itself.message, HasSubstr("pthread_exit()"));
  Report by_another = expect_failure(Failure::unsupported, [] {
    std::thread thread([] {});
    ::pthread_cancel(thread.native_handle());
    thread.join();
  });
  EXPECT_THAT(by_another.message, HasSubstr("pthread_cancel()"));
}

TEST(Exit, IsAFailureFromAnyThread) {
  expect_failure(Failure::exit, [] { std::exit(0); });
  expect_failure(Failure::exit, [] {
    std::thread thread([] { ::_exit(0); });
    thread.join();
  });
}

TEST(Crash, IsAnAbort) {
  expect_failure(Failure::crash, [] { std::abort(); });
}

TEST(Crash, IsAnExceptionThatNobodyCatches) {
  Report in_thread = expect_failure(Failure::crash, [] {
    std::thread thread([] { throw std::runtime_error("told in words"); });
    thread.join();
  });
  EXPECT_THAT(in_thread.message, HasSubstr("told in words"));
  Report in_body = expect_failure(Failure::crash, [] { throw std::runtime_error("told in words"); });
  EXPECT_THAT(in_body.message, HasSubstr("told in words"));
}

TEST(Crash, IsAThreadThatIsDestroyedUnjoined) {
  expect_failure(Failure::crash, [] { std::thread thread([] {}); });
}

TEST(Crash, IsANullPointer) {
  expect_failure(Failure::crash, [] {
    std::thread thread([] {
      int* volatile nowhere = nullptr;
      *nowhere = 1;
    });
    thread.join();
  });
}

[[gnu::noinline]] int without_end(volatile int* depth) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(*depth);
  *depth = *depth + 1;
  if (*depth < 0) return 0;
  return without_end(depth) + frame[0];
}

TEST(Crash, IsARecursionWithoutEnd) {
  expect_failure(Failure::crash, [] {
    std::thread thread([] {
      volatile int depth = 0;
      require(without_end(&depth) != 0);
    });
    thread.join();
  });
}

TEST(Crash, AreMoreThreadsThanThereMayBe) {
  expect_failure(Failure::crash, [] {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 200; ++i) threads.emplace_back([] {});
  });
}

TEST(Livelock, IsASpinOnAnAtomicThatNobodyChanges) {
  expect_failure(Failure::livelock, [] {
    std::atomic<bool> done = false;
    std::thread spinner([&] {
      while (!done) {
      }
    });
    spinner.join();
  });
}

TEST(Livelock, IsNotASpinThatEnds) {
  expect_clean([] {
    std::atomic<bool> done = false;
    run_both(
        [&] {
          while (!done.load(std::memory_order_relaxed)) {
          }
        },
        [&] { done.store(true, std::memory_order_relaxed); });
  });
}

TEST(Livelock, AreTwoWhoAlwaysGiveWayToEachOther) {
  expect_failure(Failure::livelock, [] {
    std::atomic<int> polite[2] = {0, 0};
    std::atomic<bool> forever = true;
    auto give_way = [&](int me) {
      while (forever) {
        ++polite[me];
        std::this_thread::yield();
      }
    };
    run_both([&] { give_way(0); }, [&] { give_way(1); });
  });
}

// Whether it is the race or the loop that is seen first, it is not a pass.
TEST(SpinOnAPlainVariable, IsAFailure) {
  Report report = explore(
      [] {
        volatile bool done = false;
        run_both(
            [&] {
              while (!done) {
              }
            },
            [&] { done = true; });
      },
      a_bit_of_everything());
  EXPECT_NE(report.failure, Failure::none);
  // Thousands of plain accesses make one step, so that a thread that only computes may take its time.
  Options few_steps = a_bit_of_everything();
  few_steps.step_limit = 500;
  Report alone = explore(
      [] {
        volatile bool done = false;
        std::thread spinner([&] {
          while (!done) {
          }
        });
        spinner.join();
      },
      few_steps);
  EXPECT_EQ(alone.failure, Failure::livelock);
}

TEST(MemoryError, IsAUseAfterFree) {
  expect_failure(Failure::memory_error, [] {
    auto* value = new int(1);
    delete value;
    int* volatile dangling = value;
    require(*dangling >= 0 || *dangling < 0);
  });
}

TEST(MemoryError, IsAFreeThatComesTooEarlyInSomeSchedule) {
  Report report = explore(
      [] {
        auto* value = new std::atomic<int>(0);
        std::thread user([value] { ++*value; });
        std::thread owner([value] { delete value; });
        user.join();
        owner.join();
      },
      a_bit_of_everything());
  EXPECT_TRUE(report.failure == Failure::memory_error || report.failure == Failure::data_race)
      << name_of(report.failure);
}

TEST(MemoryError, IsADoubleFree) {
  expect_failure(Failure::memory_error, [] {
    auto* value = new int(1);
    int* volatile again = value;
    delete value;
    delete again;
  });
}

// A test that fails once and then never again: memory that outlives the child process stands for a clock or a device.
TEST(NotDeterministic, IsABodyThatDoesNotFailAgainInTheSameOrder) {
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  int* runs = static_cast<int*>(memory);
  Report report = expect_failure(Failure::not_deterministic, [&] { require(++*runs != 1, "only the first time"); });
  EXPECT_THAT(report.message, HasSubstr("only the first time"));
  ::munmap(memory, 4096);
}

// A counter of the program's own is the same in the second process, which runs the same schedules again.
TEST(NotDeterministic, IsNotACounterThatStartsAnewWithTheProcess) {
  static int runs = 0;
  Report report = expect_failure(Failure::assertion, [] {
    run_both([] {}, [] {});
    require(++runs != 3);
  });
  EXPECT_EQ(report.schedules, 3u);
}

}  // namespace
}  // namespace explorer
