#include "exercise/test.hpp"

#include <switch_interval.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

// What an eval loop does that has nothing to do.
void until_drop_is_requested(const SwitchingGil& gil) {
  while (!gil.drop_requested()) std::this_thread::yield();
}

}  // namespace

TEST(SwitchingGil, RefusesAnIntervalOfZeroOrLess) {
  EXPECT_THROW(SwitchingGil(0us), std::invalid_argument);
  EXPECT_THROW(SwitchingGil(-1us), std::invalid_argument);
  EXPECT_NO_THROW(SwitchingGil(1us));
}

TEST(SwitchingGil, LeavesAThreadAloneThatIsAlone) {
  SwitchingGil gil;
  gil.acquire();
  EXPECT_FALSE(gil.drop_requested()) << "there is no other thread that could ask";
  gil.yield_if_requested();  // a deadlock here: there is nobody to wait for
  gil.release();             // and here
  gil.acquire();
  gil.release();
}

TEST(SwitchingGil, SleepsForAnIntervalOrUntilItIsReleased) {
  SwitchingGil gil(1h);
  std::latch seen(1);
  gil.acquire();
  std::thread waiter([&] {
    gil.acquire();
    gil.release();
  });
  Onlooker onlooker([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "acquire() spins instead of sleeping");
    if (!sight.time_limit) {
      it.fail(FailureKind::wrong_answer, "acquire() sleeps without a time limit, and so it can never ask the holder");
    }
    if (*sight.time_limit > 1h) {
      it.fail(FailureKind::wrong_answer, "the interval is an hour, but acquire() sleeps for longer before it asks");
    }
    if (*sight.time_limit < 30min) {
      it.fail(FailureKind::wrong_answer, "the interval is an hour, but acquire() sleeps for less than 30 minutes");
    }
    seen.count_down();
    // From here on a thread is awake until the waiter has ended: this one's main thread, or the waiter, once woken.
    if (it.wait_until_asleep().what == Onlooker::asleep) {
      it.fail(FailureKind::lost_wake_up, "the lock was released, but the thread that waits for it sleeps on");
    }
  });
  seen.wait();
  gil.release();
  waiter.join();
  onlooker.call_is_over();
}

INTERLEAVING_TEST(SwitchingGil, LetsOneThreadInAtATime) {
  SwitchingGil gil(20us);
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

INTERLEAVING_TEST(SwitchingGil, WakesAWaiterBeforeItsIntervalIsOver) {
  auto start = steady_clock::now();
  SwitchingGil gil(1h);
  gil.acquire();
  std::thread waiter([&] {
    gil.acquire();
    gil.release();
  });
  gil.release();
  waiter.join();
  if (interleave::time_is_virtual()) {
    EXPECT_LT(steady_clock::now() - start, 1h)
        << FailureKind::lost_wake_up << "the lock was free, but a thread slept beside it until its interval was over";
  }
}

INTERLEAVING_TEST(SwitchingGil, AsksOnlyAfterAnInterval) {
  SwitchingGil gil(100us);
  gil.acquire();
  auto start = steady_clock::now();
  std::thread waiter([&] {
    gil.acquire();
    gil.release();
  });
  until_drop_is_requested(gil);
  EXPECT_GE(steady_clock::now() - start, 100us) << "since the waiting thread began; the interval is 100 us";
  gil.release();
  waiter.join();
}

INTERLEAVING_TEST(SwitchingGil, ForgetsTheRequestWhenTheLockChangesHands) {
  SwitchingGil gil(20us);
  gil.acquire();
  std::thread waiter([&] {
    gil.acquire();
    EXPECT_FALSE(gil.drop_requested()) << "a new holder, and no thread waits that could have asked it";
    gil.release();
  });
  until_drop_is_requested(gil);
  gil.release();
  waiter.join();
}

INTERLEAVING_TEST(SwitchingGil, AsksANewHolderToo) {
  SwitchingGil gil(20us);
  bool is_the_last = false;
  auto run = [&] {
    gil.acquire();
    if (!is_the_last) {
      is_the_last = true;
      until_drop_is_requested(gil);  // a livelock here: the other thread waits, and does not ask
    }
    gil.release();
  };
  gil.acquire();
  std::thread one(run), two(run);
  until_drop_is_requested(gil);
  gil.release();
  one.join(), two.join();
}

INTERLEAVING_TEST(SwitchingGil, BeginsANewIntervalWithANewHolder) {
  SwitchingGil gil(100us);
  bool is_the_last = false;
  steady_clock::time_point released;
  auto run = [&] {
    gil.acquire();
    if (!is_the_last) {
      is_the_last = true;
      until_drop_is_requested(gil);
      EXPECT_GE(steady_clock::now() - released, 100us) << "since before this thread got the lock, until it was asked";
    }
    gil.release();
  };
  gil.acquire();
  std::thread one(run), two(run);
  // So that more than half of the others' interval is over. Only the explorer makes time pass as it is told.
  if (interleave::time_is_virtual()) std::this_thread::sleep_for(60us);
  released = steady_clock::now();
  gil.release();
  one.join(), two.join();
}

INTERLEAVING_TEST(SwitchingGil, KeepsTheLockUntilItIsAsked) {
  SwitchingGil gil(1h);
  bool is_done = false;
  gil.acquire();
  std::thread waiter([&] {
    gil.acquire();
    EXPECT_TRUE(is_done) << "the interval is an hour, and the holder has let this thread in before";
    gil.release();
  });
  for (int instruction = 0; instruction < 3; ++instruction) gil.yield_if_requested();
  is_done = true;
  gil.release();
  waiter.join();
}

INTERLEAVING_TEST(SwitchingGil, DoesNotWinTheLockStraightBack) {
  SwitchingGil gil(20us);
  bool other_has_run = false;
  gil.acquire();
  std::thread waiter([&] {
    gil.acquire();
    other_has_run = true;
    gil.release();
  });
  std::latch requested(1);
  std::thread bystander([&] { requested.wait(); });  // wants no lock, but may get the CPU that the holder lets go
  until_drop_is_requested(gil);
  requested.count_down();
  gil.yield_if_requested();
  EXPECT_TRUE(other_has_run) << "the holder was asked, has dropped the lock and has it again: and the other thread?";
  gil.release();
  waiter.join(), bystander.join();
}
