// Threads, atomics, futures and what the language itself does at the edges of threads: of each, a right program that no
// schedule may fault, and a wrong one that some schedule must.

#include "explorer/weak_exchange.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include "explorer/tests/explored.hpp"

namespace explorer {
namespace {

using namespace std::chrono_literals;

TEST(Thread, IsOrderedBeforeWhoeverJoinsIt) {
  expect_clean([] {
    int value = 0;
    std::thread thread([&] { value = 1; });
    thread.join();
    require(value == 1);
  });
  expect_failure(Failure::data_race, [] {
    int value = 0;
    std::thread thread([&] { value = 1; });
    require(value >= 0);
    thread.join();
  });
}

TEST(WeakExchange, MayFailForNoReason) {
  auto add = [](std::atomic<int>& count) {
    int seen = count.load();
    while (!count.compare_exchange_weak(seen, seen + 1)) continue;
  };
  expect_clean([&] {
    std::atomic<int> count = 0;
    run_both([&] { add(count); }, [&] { add(count); });
    require(count == 2);
  });
  // Nobody else is there, and the value is what was expected.
  Report report = expect_failure(Failure::assertion, [] {
    std::atomic<int> count = 0;
    std::atomic_ref<int> same(*reinterpret_cast<int*>(&count));
    int expected = 0;
    require(count.compare_exchange_strong(expected, 1) && same.compare_exchange_strong(expected = 1, 2));
    require(count.compare_exchange_weak(expected = 2, 3));
  });
  EXPECT_TRUE(std::any_of(report.trace.begin(), report.trace.end(),
                          [](const Step& step) { return step.operation == "fails for no reason at"; }));
}

TEST(Jthread, StopsAndJoinsWhenItIsDestroyed) {
  expect_clean([] {
    int rounds = 0;
    {
      std::jthread worker([&](std::stop_token stop) {
        while (!stop.stop_requested()) {
          ++rounds;
          std::this_thread::yield();
        }
        rounds = -1;
      });
    }
    require(rounds == -1);
  });
  expect_failure(Failure::livelock, [] {
    std::atomic<bool> stop = false;
    std::jthread worker([&] {
      while (!stop) std::this_thread::yield();
    });
  });
}

TEST(DetachedThread, IsPartOfTheScheduleUntilItEnds) {
  expect_clean([] {
    auto done = std::make_shared<std::latch>(1);
    std::thread([done] { done->count_down(); }).detach();
    done->wait();
  });
  expect_failure(Failure::deadlock, [] {
    auto never = std::make_shared<std::latch>(1);
    std::thread([never] { never->wait(); }).detach();
  });
  expect_failure(Failure::data_race, [] {
    auto value = std::make_shared<int>(0);
    std::thread([value] { *value = 1; }).detach();
    require(*value >= 0);
  });
}

TEST(AtomicWait, SleepsUntilItIsNotified) {
  expect_clean([] {
    std::atomic<int> turn = 0;
    run_both(
        [&] {
          turn.wait(0);
          turn = 2;
          turn.notify_all();
        },
        [&] {
          turn = 1;
          turn.notify_one();
          while (turn != 2) turn.wait(1);
        });
  });
  expect_failure(Failure::deadlock, [] {
    std::atomic<int> turn = 0;
    run_both([&] { turn.wait(0); }, [&] { turn = 1; });
  });
}

TEST(AtomicFlag, IsALockIfItIsClearedWithRelease) {
  auto count_under = [](std::memory_order unlock) {
    std::atomic_flag locked;
    int count = 0;
    auto add = [&] {
      while (locked.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
      ++count;
      locked.clear(unlock);
    };
    run_both(add, add);
    require(count == 2);
  };
  expect_clean([&] { count_under(std::memory_order_release); });
  expect_failure(Failure::data_race, [&] { count_under(std::memory_order_relaxed); });
}

TEST(AtomicRef, AddsAtomicallyButNotIfLoadAndStoreAreApart) {
  expect_clean([] {
    int count = 0;
    auto add = [&] { std::atomic_ref(count).fetch_add(1); };
    run_both(add, add);
    require(count == 2);
  });
  expect_failure(Failure::assertion, [] {
    int count = 0;
    auto add = [&] {
      std::atomic_ref reference(count);
      reference.store(reference.load() + 1);
    };
    run_both(add, add);
    require(count == 2);
  });
}

TEST(CompareExchange, AddsInALoopButNotInOneTry) {
  expect_clean([] {
    std::atomic<int> count = 0;
    auto add = [&] {
      int seen = count;
      while (!count.compare_exchange_weak(seen, seen + 1)) {
      }
    };
    run_both(add, add);
    require(count == 2);
  });
  expect_failure(Failure::assertion, [] {
    std::atomic<int> count = 0;
    auto try_to_add = [&] {
      int seen = count;
      count.compare_exchange_strong(seen, seen + 1);
    };
    run_both(try_to_add, try_to_add);
    require(count == 2);
  });
}

TEST(AtomicThreadFence, OrdersPlainAccessesAroundRelaxedOnes) {
  auto hand_over = [](bool fenced) {
    int value = 0;
    std::atomic<bool> ready = false;
    run_both(
        [&] {
          value = 1;
          if (fenced) std::atomic_thread_fence(std::memory_order_release);
          ready.store(true, std::memory_order_relaxed);
        },
        [&] {
          if (!ready.load(std::memory_order_relaxed)) return;
          std::atomic_thread_fence(std::memory_order_acquire);
          require(value == 1);
        });
  };
  expect_clean([&] { hand_over(true); });
  expect_failure(Failure::data_race, [&] { hand_over(false); });
}

TEST(Promise, HandsOverAValueAndBreaksIfItIsAbandoned) {
  expect_clean([] {
    std::promise<std::string> promise;
    auto future = promise.get_future();
    run_both([&] { promise.set_value("longer than what a string keeps within itself"); },
             [&] { require(future.get().size() == 45); });
  });
  expect_failure(Failure::crash, [] {
    std::future<int> future;
    {
      std::promise<int> abandoned;
      future = abandoned.get_future();
    }
    future.get();
  });
  expect_failure(Failure::deadlock, [] {
    std::promise<int> promise;
    promise.get_future().get();
  });
}

TEST(Async, CarriesResultsAndExceptionsBack) {
  expect_clean([] {
    auto value = std::async(std::launch::async, [] { return 42; });
    auto thrown = std::async(std::launch::async, []() -> int { throw std::logic_error("on purpose"); });
    require(value.get() == 42);
    bool caught = false;
    try {
      thrown.get();
    } catch (const std::logic_error&) {
      caught = true;
    }
    require(caught);
  });
  expect_failure(Failure::data_race, [] {
    int value = 0;
    auto done = std::async(std::launch::async, [&] { value = 1; });
    require(value >= 0);
    done.get();
  });
}

TEST(PackagedTask, RunsInAnotherThread) {
  expect_clean([] {
    std::packaged_task<int(int)> task([](int n) { return 2 * n; });
    auto doubled = task.get_future();
    std::thread thread(std::move(task), 21);
    require(doubled.get() == 42);
    thread.join();
  });
  expect_failure(Failure::deadlock, [] {
    std::packaged_task<int()> never_run([] { return 1; });
    never_run.get_future().get();
  });
}

TEST(CallOnce, RunsOnceAndAgainAfterAnException) {
  expect_clean([] {
    std::once_flag flag;
    int attempts = 0;
    auto initialise = [&] {
      try {
        std::call_once(flag, [&] {
          if (++attempts == 1) throw std::runtime_error("the first time");
        });
      } catch (const std::runtime_error&) {
        return;
      }
      require(attempts == 2);
    };
    run_both(initialise, initialise);
    require(attempts == 2);
  });
  expect_failure(Failure::data_race, [] {
    bool initialised = false;
    auto initialise = [&] {
      if (!initialised) initialised = true;
    };
    run_both(initialise, initialise);
  });
}

TEST(SleepFor, PassesVirtualTimeAndOrdersNothing) {
  expect_clean([] {
    auto began = std::chrono::steady_clock::now();
    run_both([] { std::this_thread::sleep_for(1h); }, [] { std::this_thread::sleep_for(2h); });
    require(std::chrono::steady_clock::now() - began >= 2h);
  });
  expect_failure(Failure::data_race, [] {
    int value = 0;
    run_both([&] { value = 1; },
             [&] {
               std::this_thread::sleep_for(1s);
               require(value == 1);
             });
  });
  // Even to sleep a hundred times as long is no promise that the other one is done.
  expect_failure(Failure::assertion, [] {
    std::atomic<bool> done = false;
    run_both(
        [&] {
          std::this_thread::sleep_for(1ms);
          done = true;
        },
        [&] {
          std::this_thread::sleep_for(100ms);
          require(done);
        });
  });
}

struct CountsItsEnd {
  int* ends = nullptr;
  ~CountsItsEnd() {
    std::this_thread::yield();
    if (ends != nullptr) ++*ends;
  }
};
thread_local CountsItsEnd counts_its_end;
thread_local int private_value = 3;

TEST(ThreadLocal, IsEachThreadsOwnAndDestroyedBeforeTheJoinReturns) {
  expect_clean([] {
    int ends = 0;
    for (int i = 0; i < 2; ++i) {
      std::thread thread([&] {
        counts_its_end.ends = &ends;
        require(private_value == 3);
        private_value = 4;
        std::this_thread::yield();
        require(private_value == 4);
      });
      thread.join();
    }
    require(ends == 2);
  });
  expect_failure(Failure::data_race, [] {
    int ends = 0;
    auto run = [&] { counts_its_end.ends = &ends; };
    run_both(run, run);
  });
}

struct SlowToBuild {
  int value = 0;
  SlowToBuild() {
    std::this_thread::yield();
    value = 1;
  }
};

TEST(StaticLocal, IsBuiltOnceWhileOthersWait) {
  auto use = []() -> SlowToBuild& {
    static SlowToBuild built;
    return built;
  };
  expect_clean([&] { run_both([&] { require(use().value == 1); }, [&] { require(use().value == 1); }); });
  expect_failure(Failure::data_race, [&] { run_both([&] { ++use().value; }, [&] { ++use().value; }); });
}

TEST(Exceptions, StayInTheirThreadAcrossSwitches) {
  expect_clean([] {
    std::exception_ptr carried;
    auto throw_and_catch = [] {
      for (int i = 0; i < 2; ++i) {
        try {
          throw i;
        } catch (int caught) {
          std::this_thread::yield();
          require(caught == i);
        }
      }
    };
    std::thread thrower([&] {
      try {
        throw std::runtime_error("carried");
      } catch (...) {
        std::this_thread::yield();
        carried = std::current_exception();
      }
    });
    run_both(throw_and_catch, throw_and_catch);
    thrower.join();
    bool caught = false;
    try {
      std::rethrow_exception(carried);
    } catch (const std::runtime_error& error) {
      caught = std::string(error.what()) == "carried";
    }
    require(caught);
  });
  expect_failure(Failure::crash, [] {
    std::thread thrower([] { throw std::runtime_error("nobody catches it"); });
    thrower.join();
  });
}

TEST(SharedPtr, CountsAtomicallyButIsItselfAPlainObject) {
  expect_clean([] {
    auto owner = std::make_shared<int>(4);
    std::weak_ptr<int> watcher = owner;
    std::thread one([owner] { require(*owner == 4); });
    std::thread two([watcher] {
      if (auto locked = watcher.lock()) require(*locked == 4);
    });
    owner.reset();
    one.join();
    two.join();
    require(watcher.expired());
  });
  expect_failure(Failure::data_race, [] {
    auto shared = std::make_shared<int>(4);
    run_both([&] { auto copy = shared; }, [&] { shared.reset(); });
  });
}

TEST(ThreadIds, AreDifferentInDifferentThreads) {
  expect_clean([] {
    pid_t first = 0, second = 0;
    run_both([&] { first = ::gettid(); }, [&] { second = static_cast<pid_t>(::syscall(SYS_gettid)); });
    require(first != second && first != ::gettid(), "two threads have one number");
  });
}

TEST(Yield, NeedNotLetAnotherThreadGo) {
  expect_failure(Failure::assertion, [] {
    std::atomic<int> turns = 0;
    std::thread other([&] { turns = 1; });
    std::this_thread::yield();
    bool went_first = turns.load() == 0;
    other.join();
    require(!went_first, "the thread that yielded went on");
  });
}

TEST(Promise, IsNotModelledWhenItIsSetAsItsThreadEnds) {
  Report report = expect_failure(Failure::unsupported, [] {
    std::promise<int> promise;
    std::future<int> future = promise.get_future();
    std::thread other([&] { promise.set_value_at_thread_exit(4); });
    future.get();
    other.join();
  });
  EXPECT_NE(report.message.find("set_value_at_thread_exit()"), std::string::npos) << report.message;
  report = expect_failure(Failure::unsupported, [] {
    std::mutex mutex;
    std::condition_variable ended;
    std::thread other([&] { std::notify_all_at_thread_exit(ended, std::unique_lock(mutex)); });
    other.join();
  });
  EXPECT_NE(report.message.find("notify_all_at_thread_exit()"), std::string::npos) << report.message;
}

struct Wide {
  std::uint64_t low, high;
};

TEST(WideAtomic, IsOneObject) {
  // Sixteen bytes; a library call where the processor has no instruction that the compiler may use (libatomic).
  expect_clean([] {
    std::atomic<Wide> wide = Wide{0, 0};
    auto add = [&] {
      Wide before = wide.load();
      while (!wide.compare_exchange_weak(before, {before.low + 1, before.high + 1})) continue;
    };
    run_both(add, add);
    require(wide.load().low == 2 && wide.load().high == 2);
  });
}

// A coroutine that begins in one thread and goes on in another.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

struct GoOnElsewhere {
  std::thread& thread;
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    std::thread& to = thread;  // this object is gone when the coroutine has gone on
    to = std::thread([handle] { handle.resume(); });
  }
  void await_resume() {}
};

Detached write_elsewhere(std::thread& thread, int& value) {
  co_await GoOnElsewhere{thread};
  ++value;
}

TEST(Coroutine, RunsInTheThreadThatResumesIt) {
  expect_clean([] {
    std::thread thread;
    int value = 0;
    write_elsewhere(thread, value);
    thread.join();
    require(value == 1);
  });
  expect_failure(Failure::data_race, [] {
    std::thread thread;
    int value = 0;
    write_elsewhere(thread, value);
    ++value;
    thread.join();
  });
}

}  // namespace
}  // namespace explorer
