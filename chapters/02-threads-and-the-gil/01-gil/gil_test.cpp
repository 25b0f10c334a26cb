#include "exercise/test.hpp"

#include <gil.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;

TEST(Gil, SaysWhetherTheCallingThreadHoldsIt) {
  Gil gil;
  EXPECT_FALSE(gil.held()) << "nobody has acquired it";
  gil.acquire();
  EXPECT_TRUE(gil.held()) << "this thread has acquired it";
  std::thread([&] { EXPECT_FALSE(gil.held()) << "another thread holds it, and not the one that asks"; }).join();
  gil.release();
  EXPECT_FALSE(gil.held()) << "this thread has released it";
}

TEST(Gil, RefusesToBeAcquiredByItsHolder) {
  Gil gil;
  gil.acquire();
  EXPECT_THROW(gil.acquire(), std::logic_error) << "this thread holds it already";
  EXPECT_TRUE(gil.held()) << "the acquire that was refused changes nothing";
  gil.release();
  EXPECT_FALSE(gil.held()) << "acquired once, refused once, released once";
}

TEST(Gil, RefusesToBeReleasedByAThreadThatDoesNotHoldIt) {
  Gil gil;
  EXPECT_THROW(gil.release(), std::logic_error) << "nobody holds it";
  gil.acquire();
  std::thread([&] { EXPECT_THROW(gil.release(), std::logic_error) << "another thread holds it"; }).join();
  EXPECT_TRUE(gil.held()) << "the release that was refused changes nothing";
  gil.release();
}

TEST(Gil, IsALockOfItsOwn) {
  Gil one, other;
  Rendezvous both(2, "2 threads that hold 2 different Gils at the same time");
  auto hold = [&](Gil& gil) {
    gil.acquire();
    both.arrive_and_wait();
    gil.release();
  };
  std::thread thread(hold, std::ref(other));
  hold(one);
  thread.join();
}

TEST(Gil, MayBeHeldTogetherWithAnother) {
  Gil one, other;
  one.acquire();
  EXPECT_FALSE(other.held()) << "this thread holds one Gil, and is asked for another";
  other.acquire();
  EXPECT_TRUE(one.held() && other.held()) << "this thread has acquired both";
  one.release();
  EXPECT_FALSE(one.held()) << "this thread has released it";
  EXPECT_TRUE(other.held()) << "this thread has released one Gil, and not this one";
  other.release();
}

TEST(Gil, SleepsUntilItIsReleased) {
  Gil gil;
  std::latch seen(1);
  gil.acquire();
  std::thread waiter([&] {
    gil.acquire();
    gil.release();
  });
  Onlooker onlooker([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "acquire() spins instead of sleeping");
    if (sight.time_limit) it.fail(FailureKind::wrong_answer, "acquire() sleeps with a time limit, to look again");
    seen.count_down();
  });
  seen.wait();
  EXPECT_TRUE(gil.held()) << "another thread waits for it, but this one has not released it yet";
  gil.release();  // nothing else wakes the waiter
  waiter.join();
  onlooker.call_is_over();
}

TEST(GilHolder, ReleasesItOnEveryWayOut) {
  Gil gil;
  {
    GilHolder holder(gil);
    EXPECT_TRUE(gil.held()) << "the holder lives";
  }
  EXPECT_FALSE(gil.held()) << "the holder's scope has ended";
  try {
    GilHolder holder(gil);
    throw std::domain_error("the code under the lock failed");
  } catch (const std::domain_error&) {
  }
  EXPECT_FALSE(gil.held()) << "an exception has ended the holder's scope";
}

TEST(GilHolder, RefusesAThreadThatHoldsIt) {
  Gil gil;
  GilHolder outer(gil);
  EXPECT_THROW(GilHolder inner(gil), std::logic_error) << "this thread holds it already";
  EXPECT_TRUE(gil.held()) << "the outer holder lives";
}

INTERLEAVING_TEST(Gil, KnowsItsHolderWhileThreadsComeAndGo) {
  Gil gil;
  auto come_and_go = [&] {
    gil.acquire();
    EXPECT_TRUE(gil.held()) << "this thread has acquired it";
    EXPECT_NO_THROW(gil.release()) << "this thread holds it";
    EXPECT_FALSE(gil.held()) << "this thread has released it";
  };
  std::thread one(come_and_go), two(come_and_go);
  EXPECT_FALSE(gil.held()) << "this thread has never acquired it";
  one.join(), two.join();
}

INTERLEAVING_TEST(Gil, LetsOneThreadInAtATime) {
  Gil gil;
  long entered = 0;  // with nothing but the lock around it
  auto enter = [&] {
    gil.acquire();
    ++entered;
    gil.release();
  };
  std::thread one(enter), two(enter);
  enter();
  one.join(), two.join();
  EXPECT_EQ(entered, 3) << "times that a thread was inside, each counted with the lock held";
}
