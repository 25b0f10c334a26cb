#include "exercise/test.hpp"

#include <semaphore.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;
using namespace std::chrono_literals;

TEST(Semaphore, RefusesANegativeNumberOfPermits) {
  Semaphore none(0);
  EXPECT_FALSE(none.try_acquire()) << "0 permits are allowed, and none of them is there";
  EXPECT_THROW(Semaphore(-1), std::invalid_argument);
}

TEST(Semaphore, CountsItsPermits) {
  Semaphore semaphore(2);
  semaphore.acquire();
  EXPECT_TRUE(semaphore.try_acquire()) << "1 of 2 permits was taken";
  EXPECT_FALSE(semaphore.try_acquire()) << "both permits were taken";
  semaphore.release(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(semaphore.try_acquire()) << "3 permits were released; this takes one more";
  EXPECT_FALSE(semaphore.try_acquire()) << "the 3 permits that were released are taken";
}

TEST(Semaphore, RefusesToReleaseLessThanOne) {
  Semaphore semaphore(1);
  EXPECT_THROW(semaphore.release(0), std::invalid_argument);
  EXPECT_THROW(semaphore.release(-1), std::invalid_argument);
  EXPECT_TRUE(semaphore.try_acquire()) << "the permit of before is still there";
  EXPECT_FALSE(semaphore.try_acquire()) << "a release that was refused adds nothing";
}

TEST(Semaphore, GivesUpWhenTheTimeIsOver) {
  Semaphore semaphore(0);
  EXPECT_FALSE(semaphore.try_acquire_for(1ms)) << "there was no permit, and nobody released one";
  EXPECT_FALSE(semaphore.try_acquire_for(0ms)) << "there is no permit";
  EXPECT_FALSE(semaphore.try_acquire_for(-1s)) << "there is no permit";
  semaphore.release(3);
  EXPECT_TRUE(semaphore.try_acquire()) << "3 permits are there; the calls that gave up have taken none";
  EXPECT_TRUE(semaphore.try_acquire_for(0ms)) << "2 permits are there, and nobody has to wait for them";
  EXPECT_TRUE(semaphore.try_acquire_for(-1s)) << "1 permit is there, and nobody has to wait for it";
  EXPECT_FALSE(semaphore.try_acquire()) << "3 permits were released and 3 acquired";
}

TEST(Semaphore, SleepsUntilAPermitIsReleased) {
  Semaphore semaphore(0);
  Onlooker of_acquire([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "acquire() spins instead of sleeping");
    if (sight.time_limit) it.fail(FailureKind::wrong_answer, "acquire() sleeps with a time limit, to look again");
    semaphore.release();
  });
  semaphore.acquire();
  of_acquire.call_is_over();

  Onlooker of_try_acquire_for([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "try_acquire_for(1h) spins");
    if (sight.time_limit && *sight.time_limit < 30min) {
      it.fail(FailureKind::wrong_answer, "try_acquire_for(1h) sleeps with a time limit of less than 30 minutes");
    }
    semaphore.release();
  });
  EXPECT_TRUE(semaphore.try_acquire_for(1h)) << "a permit was released meanwhile";
  of_try_acquire_for.call_is_over();
  EXPECT_FALSE(semaphore.try_acquire()) << "2 permits were released and 2 acquired";
}

TEST(Semaphore, LetsAsManyThreadsInAsThereArePermits) {
  Semaphore semaphore(2);
  Rendezvous both_inside(2, "2 permits, so 2 threads that hold one at the same time");
  auto visit = [&] {
    semaphore.acquire();
    both_inside.arrive_and_wait();
    semaphore.release();
  };
  std::thread other(visit);
  visit();
  other.join();
}

INTERLEAVING_TEST(Semaphore, ShowsWhatWasDoneBeforeTheRelease) {
  Semaphore semaphore(1);
  int visits = 0;
  std::atomic<bool> your_turn = false;  // relaxed: it says when, and orders nothing
  auto visit = [&] {
    semaphore.acquire();
    ++visits;
    semaphore.release();
  };
  std::thread other([&] {
    while (!your_turn.load(std::memory_order_relaxed)) std::this_thread::yield();
    visit();
  });
  visit();
  your_turn.store(true, std::memory_order_relaxed);
  other.join();
  EXPECT_EQ(visits, 2) << "visits by 2 threads, one after the other";
}

INTERLEAVING_TEST(Semaphore, LetsNoMoreThreadsInThanThereArePermits) {
  Semaphore semaphore(1);
  std::atomic<int> inside = 0;
  auto visit = [&] {
    semaphore.acquire();
    EXPECT_EQ(++inside, 1) << "threads that hold the only permit";
    --inside;
    semaphore.release();
  };
  std::thread first(visit), second(visit);
  visit();
  first.join();
  second.join();
}

INTERLEAVING_TEST(Semaphore, LetsAsManyThreadsGoAsPermitsWereReleased) {
  Semaphore semaphore(0);
  int result = 0;
  auto read = [&] {
    semaphore.acquire();
    EXPECT_EQ(result, 42) << "what was written before release(2)";
  };
  std::thread first(read), second(read);
  result = 42;
  semaphore.release(2);
  first.join();
  second.join();
}

INTERLEAVING_TEST(Semaphore, LetsAThreadGoForEachRelease) {
  Semaphore semaphore(0);
  std::thread first([&] { semaphore.acquire(); }), second([&] { semaphore.acquire(); });
  semaphore.release();
  semaphore.release();
  first.join();
  second.join();
}

INTERLEAVING_TEST(Semaphore, TryAcquireDoesNotMissAPermitThatIsThere) {
  Semaphore semaphore(2);
  std::thread other([&] { EXPECT_TRUE(semaphore.try_acquire()) << "2 permits for 2 threads"; });
  EXPECT_TRUE(semaphore.try_acquire()) << "2 permits for 2 threads";
  other.join();
}

INTERLEAVING_TEST(Semaphore, LosesNoPermitWhenAReleaseMeetsATimeOut) {
  Semaphore semaphore(0);
  bool acquired = false;
  std::thread waiter([&] { acquired = semaphore.try_acquire_for(100us); });
  semaphore.release();
  waiter.join();
  bool still_there = semaphore.try_acquire();
  EXPECT_NE(acquired, still_there) << "1 permit was released: the waiter has it, or it is still there";
  EXPECT_FALSE(semaphore.try_acquire()) << "no more than 1 permit was released";
}
