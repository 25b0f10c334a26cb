// Locks, conditions, semaphores, latches and barriers: of each, a right program that no schedule may fault, and a wrong
// one that some schedule must.

#include <pthread.h>
#include <semaphore.h>

#include <atomic>
#include <barrier>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <stop_token>
#include <thread>

#include "explorer/tests/explored.hpp"

namespace explorer {
namespace {

using namespace std::chrono_literals;

TEST(Mutex, MakesACounterWholeAndItsAbsenceIsADataRace) {
  expect_clean([] {
    std::mutex mutex;
    int count = 0;
    auto add = [&] {
      for (int i = 0; i < 2; ++i) {
        std::lock_guard lock(mutex);
        ++count;
      }
    };
    run_both(add, add);
    require(count == 4);
  });
  expect_failure(Failure::data_race, [] {
    int count = 0;
    run_both([&] { ++count; }, [&] { ++count; });
  });
}

TEST(Mutex, DeadlocksWhenTwoAreTakenInOppositeOrdersAndScopedLockDoesNot) {
  std::mutex one, two;
  expect_clean([&] { run_both([&] { std::scoped_lock both(one, two); }, [&] { std::scoped_lock both(two, one); }); });
  Report report = expect_failure(Failure::deadlock, [&] {
    run_both(
        [&] {
          std::lock_guard a(one);
          std::lock_guard b(two);
        },
        [&] {
          std::lock_guard a(two);
          std::lock_guard b(one);
        });
  });
  int held_by_each_other = 0;
  for (const Waiting& waiting : report.waiting) {
    if (waiting.thread != 0) held_by_each_other += waiting.held_by == 3 - waiting.thread;
  }
  EXPECT_EQ(held_by_each_other, 2);
}

TEST(Mutex, ReleasesBetweenCheckAndActLetAnotherIn) {
  expect_failure(Failure::assertion, [] {
    std::mutex mutex;
    int tickets = 1;
    auto buy = [&] {
      bool any = false;
      {
        std::lock_guard lock(mutex);
        any = tickets > 0;
      }
      std::lock_guard lock(mutex);
      if (any) --tickets;
      require(tickets >= 0);
    };
    run_both(buy, buy);
  });
}

TEST(TimedMutex, GivesUpInVirtualTimeWhileItIsHeld) {
  expect_clean([] {
    std::timed_mutex mutex;
    std::lock_guard held(mutex);
    std::thread other([&] {
      auto before = std::chrono::steady_clock::now();
      require(!mutex.try_lock_for(1h));
      require(std::chrono::steady_clock::now() - before >= 1h);
    });
    other.join();
  });
  expect_failure(Failure::assertion, [] {
    std::timed_mutex mutex;
    std::thread holder([&] {
      std::lock_guard held(mutex);
      std::this_thread::sleep_for(1s);
    });
    bool got = mutex.try_lock_for(1ms);
    if (got) mutex.unlock();
    holder.join();
    require(got);
  });
}

TEST(RecursiveMutex, IsFreeOnlyAfterAsManyUnlocksAsLocks) {
  std::recursive_mutex mutex;
  expect_clean([&] {
    int count = 0;
    auto add = [&] {
      std::lock_guard outer(mutex);
      std::lock_guard inner(mutex);
      ++count;
    };
    run_both(add, add);
    require(count == 2);
  });
  expect_failure(Failure::deadlock, [] {
    std::recursive_mutex own;
    auto forgetful = [&] {
      own.lock();
      own.lock();
      own.unlock();
    };
    run_both(forgetful, forgetful);
  });
}

// pthread_mutexattr_setrobust(3): made in a schedule, as any other object of it.
struct RobustMutex {
  pthread_mutex_t mutex;
  explicit RobustMutex(int type = PTHREAD_MUTEX_NORMAL) {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_settype(&attributes, type);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&mutex, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }
};

TEST(RobustMutex, TellsTheNextOneOnlyThatItsHolderHasEnded) {
  expect_clean([] {
    RobustMutex robust;
    int value = 0, told = 0;
    auto add = [&] {
      int result = ::pthread_mutex_lock(&robust.mutex);
      ++value;
      told += result == EOWNERDEAD;
      if (result == EOWNERDEAD) require(::pthread_mutex_consistent(&robust.mutex) == 0);
      require(::pthread_mutex_consistent(&robust.mutex) == EINVAL, "it is consistent already");
      require(::pthread_mutex_unlock(&robust.mutex) == 0);
      require(::pthread_mutex_unlock(&robust.mutex) == EPERM, "it is another's, or nobody's");
    };
    std::thread dies([&] {
      require(::pthread_mutex_trylock(&robust.mutex) != ENOTRECOVERABLE);
      ++value;
    });
    dies.join();
    run_both(add, add);
    require(value == 3 && told == 1);
  });
}

TEST(RobustMutex, IsOfNoUseOnceItWasUnlockedAndNotConsistent) {
  expect_clean([] {
    RobustMutex robust;
    std::atomic<int> told = 0, refused = 0;
    auto give_up = [&] {
      int result = ::pthread_mutex_lock(&robust.mutex);
      if (result == ENOTRECOVERABLE) {
        ++refused;
      } else {
        told += result == EOWNERDEAD;
        ::pthread_mutex_unlock(&robust.mutex);
      }
    };
    std::thread dies([&] { require(::pthread_mutex_lock(&robust.mutex) == 0); });
    dies.join();
    run_both(give_up, give_up);
    require(told == 1 && refused == 1);
  });
}

TEST(RobustMutex, IsFreeOnlyWhenItsHolderHasEnded) {
  expect_failure(Failure::assertion, [] {
    RobustMutex robust;
    std::thread dies([&] { ::pthread_mutex_lock(&robust.mutex); });
    int result = ::pthread_mutex_trylock(&robust.mutex);
    require(result != EOWNERDEAD, "the thread has ended by now");
    if (result == 0) ::pthread_mutex_unlock(&robust.mutex);
    dies.join();
  });
  expect_failure(Failure::assertion, [] {
    RobustMutex robust;
    std::thread dies([&] { ::pthread_mutex_lock(&robust.mutex); });
    int result = ::pthread_mutex_trylock(&robust.mutex);
    require(result != EBUSY, "the thread holds it now");
    if (result == 0) ::pthread_mutex_unlock(&robust.mutex);
    dies.join();
  });
}

TEST(RobustMutex, DoesNotMeetAConditionVariable) {
  expect_failure(Failure::unsupported, [] {
    RobustMutex robust;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    ::pthread_mutex_lock(&robust.mutex);
    ::pthread_cond_wait(&condition, &robust.mutex);
  });
}

TEST(SharedMutex, LetsReadersInTogetherAndWritersAlone) {
  expect_clean([] {
    std::shared_mutex mutex;
    int value = 0;
    std::latch both_inside(2);
    std::thread writer([&] {
      std::unique_lock lock(mutex);
      ++value;
    });
    // If readers excluded one another, neither would leave.
    auto read = [&] {
      std::shared_lock lock(mutex);
      int before = value;
      both_inside.arrive_and_wait();
      require(value == before);
    };
    run_both(read, read);
    writer.join();
  });
  expect_failure(Failure::data_race, [] {
    std::shared_mutex mutex;
    int value = 0;
    auto write = [&] {
      std::shared_lock lock(mutex);
      ++value;
    };
    run_both(write, write);
  });
}

TEST(SharedTimedMutex, GivesUpOnAReadLockWhileSomeoneWrites) {
  expect_clean([] {
    std::shared_timed_mutex mutex;
    std::unique_lock held(mutex);
    std::thread other([&] { require(!mutex.try_lock_shared_for(5ms)); });
    other.join();
  });
  expect_failure(Failure::data_race, [] {
    std::shared_timed_mutex mutex;
    int value = 0;
    auto write_all_the_same = [&] {
      bool locked = mutex.try_lock_for(5ms);
      ++value;
      std::this_thread::sleep_for(1s);
      if (locked) mutex.unlock();
    };
    run_both(write_all_the_same, write_all_the_same);
  });
}

TEST(ConditionVariable, NeedsItsPredicateCheckedInALoop) {
  expect_clean([] {
    std::mutex mutex;
    std::condition_variable changed;
    bool ready = false;
    run_both(
        [&] {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return ready; });
          require(ready);
        },
        [&] {
          {
            std::lock_guard lock(mutex);
            ready = true;
          }
          changed.notify_one();
        });
  });
  // The notification may come before the wait, and is then lost.
  expect_failure(Failure::deadlock, [] {
    std::mutex mutex;
    std::condition_variable changed;
    run_both(
        [&] {
          std::unique_lock lock(mutex);
          changed.wait(lock);
        },
        [&] { changed.notify_one(); });
  });
  // A wait may end for no reason, and `if` does not look again.
  expect_failure(Failure::assertion, [] {
    std::mutex mutex;
    std::condition_variable changed;
    bool ready = false;
    run_both(
        [&] {
          std::unique_lock lock(mutex);
          if (!ready) changed.wait(lock);
          require(ready);
        },
        [&] {
          std::lock_guard lock(mutex);
          ready = true;
          changed.notify_one();
        });
  });
}

TEST(ConditionVariable, TimesOutNoEarlierThanItWasTold) {
  expect_clean([] {
    std::mutex mutex;
    std::condition_variable never_notified;
    std::unique_lock lock(mutex);
    auto before = std::chrono::steady_clock::now();
    require(!never_notified.wait_for(lock, 10s, [] { return false; }));
    require(std::chrono::steady_clock::now() - before >= 10s);
  });
}

TEST(ConditionVariableAny, WakesWhenAStopIsRequested) {
  expect_clean([] {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::jthread waiter([&](std::stop_token stop) {
      std::unique_lock lock(mutex);
      require(!changed.wait(lock, stop, [] { return false; }));
    });
  });
  // A wait that does not know of the stop token sleeps through it.
  expect_failure(Failure::deadlock, [] {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::jthread waiter([&](std::stop_token stop) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return stop.stop_requested(); });
    });
  });
}

TEST(CountingSemaphore, LetsAsManyInAsItHasPermits) {
  expect_clean([] {
    std::counting_semaphore<4> permits(0);
    int value = 0;
    run_both(
        [&] {
          value = 1;
          permits.release();
        },
        [&] {
          permits.acquire();
          require(value == 1);
        });
    require(!permits.try_acquire_for(5ms));
  });
  expect_failure(Failure::data_race, [] {
    std::counting_semaphore<4> permits(2);
    int value = 0;
    auto add = [&] {
      permits.acquire();
      ++value;
      permits.release();
    };
    run_both(add, add);
  });
  expect_failure(Failure::deadlock, [] {
    std::binary_semaphore permit(1);
    auto take = [&] { permit.acquire(); };
    run_both(take, take);
  });
}

TEST(Latch, OpensAfterTheLastArrival) {
  auto two_workers = [](int expected) {
    std::latch done(expected);
    int one = 0, two = 0;
    std::thread first([&] {
      one = 1;
      done.count_down();
    });
    std::thread second([&] {
      two = 2;
      if (expected > 1) done.count_down();
    });
    done.wait();
    require(one + two == 3);
    first.join();
    second.join();
  };
  expect_clean([&] { two_workers(2); });
  expect_failure(Failure::data_race, [&] { two_workers(1); });
  expect_failure(Failure::deadlock, [&] { two_workers(3); });
}

TEST(Barrier, RunsItsCompletionOncePerPhaseBeforeAnyoneGoesOn) {
  expect_clean([] {
    int phases = 0;
    std::barrier sync(2, [&]() noexcept { ++phases; });
    auto work = [&] {
      for (int i = 1; i <= 2; ++i) {
        sync.arrive_and_wait();
        require(phases >= i);
      }
      sync.arrive_and_drop();
    };
    run_both(work, work);
    require(phases == 3);
  });
  expect_failure(Failure::deadlock, [] {
    std::barrier sync(2);
    run_both([&] { sync.arrive_and_wait(); },
             [&] {
               sync.arrive_and_wait();
               sync.arrive_and_wait();
             });
  });
}

TEST(PthreadReadWriteLock, ExcludesWriters) {
  auto count_under = [](int (*lock)(pthread_rwlock_t*)) {
    pthread_rwlock_t guard = PTHREAD_RWLOCK_INITIALIZER;
    int count = 0;
    auto add = [&] {
      lock(&guard);
      ++count;
      pthread_rwlock_unlock(&guard);
    };
    run_both(add, add);
    require(count == 2);
    pthread_rwlock_destroy(&guard);
  };
  expect_clean([&] { count_under(pthread_rwlock_wrlock); });
  expect_failure(Failure::data_race, [&] { count_under(pthread_rwlock_rdlock); });
}

TEST(PthreadBarrier, HoldsUntilAllAreThere) {
  auto meet = [](unsigned expected) {
    pthread_barrier_t meeting;
    pthread_barrier_init(&meeting, nullptr, expected);
    int one = 0, two = 0;
    run_both(
        [&] {
          one = 1;
          pthread_barrier_wait(&meeting);
          require(two == 1);
        },
        [&] {
          two = 1;
          pthread_barrier_wait(&meeting);
          require(one == 1);
        });
    pthread_barrier_destroy(&meeting);
  };
  expect_clean([&] { meet(2); });
  expect_failure(Failure::deadlock, [&] { meet(3); });
}

int once_runs = 0;

TEST(PthreadOnce, RunsOnceAndOrdersWhoeverComesLater) {
  expect_clean([] {
    pthread_once_t once = PTHREAD_ONCE_INIT;
    once_runs = 0;
    auto initialise = [&] {
      pthread_once(&once, [] { ++once_runs; });
      require(once_runs == 1);
    };
    run_both(initialise, initialise);
  });
  expect_failure(Failure::data_race, [] {
    pthread_once_t once = PTHREAD_ONCE_INIT;
    once_runs = 0;
    run_both([&] { pthread_once(&once, [] { ++once_runs; }); }, [&] { require(once_runs >= 0); });
  });
}

TEST(PosixSemaphore, HandsOverWhatWasWrittenBeforeThePost) {
  auto hand_over = [](unsigned permits) {
    sem_t posted;
    sem_init(&posted, 0, permits);
    int value = 0;
    run_both(
        [&] {
          value = 1;
          sem_post(&posted);
        },
        [&] {
          sem_wait(&posted);
          require(value >= 0);
        });
    sem_destroy(&posted);
  };
  expect_clean([&] { hand_over(0); });
  expect_failure(Failure::data_race, [&] { hand_over(1); });
  expect_failure(Failure::deadlock, [] {
    sem_t posted;
    sem_init(&posted, 0, 0);
    sem_wait(&posted);
  });
}

}  // namespace
}  // namespace explorer
