#include "exercise/test.hpp"

#include <barrier.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;
using namespace std::chrono_literals;

namespace {

constexpr int broken = -1;

// The index that the party gets, or broken.
int index_in(Barrier& barrier) {
  try {
    return barrier.wait();
  } catch (const BrokenBarrier&) {
    return broken;
  }
}

// Whether the party is released normally.
bool passes(Barrier& barrier) { return index_in(barrier) != broken; }
bool passes(Barrier& barrier, std::chrono::nanoseconds timeout) {
  try {
    barrier.wait_for(timeout);
    return true;
  } catch (const BrokenBarrier&) {
    return false;
  }
}

}  // namespace

TEST(Barrier, RefusesFewerThanOneParty) { EXPECT_THROW(Barrier(0), std::invalid_argument); }

TEST(Barrier, GivesEachPartyAnIndexOfItsOwn) {
  Barrier barrier(3);
  std::vector<int> indices(3);
  std::thread a([&] { indices[0] = index_in(barrier); });
  std::thread b([&] { indices[1] = index_in(barrier); });
  indices[2] = index_in(barrier);
  a.join();
  b.join();
  std::sort(indices.begin(), indices.end());
  EXPECT_EQ(indices, (std::vector{0, 1, 2})) << "what wait() returned to the three parties, sorted";
}

TEST(Barrier, SleepsUntilAllHaveCome) {
  Barrier barrier(2);
  Onlooker onlooker([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::over) it.fail(FailureKind::wrong_answer, "wait() returned, but one of two had come");
    if (sight.what == Onlooker::busy) {
      it.fail(FailureKind::wrong_answer, "wait() uses the CPU while it waits; it must sleep");
    }
    EXPECT_TRUE(passes(barrier)) << "the other party is there already";
  });
  EXPECT_TRUE(passes(barrier)) << "both parties came";
  onlooker.call_is_over();
}

TEST(Barrier, ResetSendsAwayThoseWhoWait) {
  Barrier barrier(2);
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();
    barrier.reset();
  });
  EXPECT_FALSE(passes(barrier)) << "wait() returned normally, but reset() came while it waited";
  onlooker.call_is_over();
  EXPECT_FALSE(barrier.broken()) << "a barrier that was reset is as good as new";
}

TEST(Barrier, StaysBrokenUntilItIsReset) {
  Barrier barrier(1);
  EXPECT_FALSE(barrier.broken()) << "a new barrier";
  barrier.abort();
  EXPECT_TRUE(barrier.broken()) << "after abort()";
  EXPECT_FALSE(passes(barrier)) << "wait() on a broken barrier";
  EXPECT_FALSE(passes(barrier)) << "wait() on a broken barrier, once more";
  barrier.reset();
  EXPECT_FALSE(barrier.broken()) << "after reset()";
  EXPECT_TRUE(passes(barrier)) << "after reset() the only party need not wait for anybody";
}

TEST(Barrier, IsBrokenByATimeOut) {
  Barrier barrier(2);
  EXPECT_FALSE(passes(barrier, 1ms)) << "the other party did not come";
  EXPECT_TRUE(barrier.broken()) << "after the time-out";
}

INTERLEAVING_TEST(Barrier, HoldsEachPartyInEachRoundUntilAllHaveCome) {
  Barrier barrier(2);
  std::atomic<int> came = 0;
  auto party = [&] {
    for (int round = 1; round <= 2; ++round) {
      ++came;
      EXPECT_TRUE(passes(barrier)) << "nobody breaks the barrier";
      EXPECT_GE(came, 2 * round) << "parties that had come, in all rounds, when wait() returned in round " << round;
    }
  };
  std::thread other(party);
  party();
  other.join();
}

INTERLEAVING_TEST(Barrier, CallsTheActionOnceBeforeItReleasesAnybody) {
  std::atomic<int> calls = 0;
  Barrier barrier(2, [&] { ++calls; });
  auto party = [&] {
    for (int round = 1; round <= 2; ++round) {
      EXPECT_TRUE(passes(barrier)) << "nobody breaks the barrier";
      EXPECT_EQ(calls, round) << "calls of the action when wait() returned in round " << round;
    }
  };
  std::thread other(party);
  party();
  other.join();
}

TEST(Barrier, IsBrokenByAnActionThatThrows) {
  Barrier barrier(2, [] { throw std::domain_error("the action failed"); });
  std::atomic<int> sent_away = 0, thrown = 0;
  auto party = [&] {
    try {
      barrier.wait();
    } catch (const BrokenBarrier&) {
      ++sent_away;
    } catch (const std::domain_error&) {
      ++thrown;
    }
  };
  std::thread other(party);  // a deadlock here: the action threw in the one party, and the other waits on
  party();
  other.join();
  EXPECT_EQ(thrown, 1) << "parties that threw the exception of the action: the one that called it";
  EXPECT_EQ(sent_away, 1) << "parties that threw BrokenBarrier: the other one";
  EXPECT_TRUE(barrier.broken()) << "after the action threw";
}

TEST(Barrier, CanBeAbortedWhileTheActionRuns) {
  Rendezvous all(3, "while the action runs, abort() returns and the party that waits leaves");
  std::latch begun(1);
  std::thread::id caller;
  Barrier barrier(2, [&] {
    caller = std::this_thread::get_id();
    begun.count_down();
    all.arrive_and_wait();
  });
  auto party = [&] {
    EXPECT_FALSE(passes(barrier)) << "abort() came before the action had returned";
    begun.wait();
    if (std::this_thread::get_id() != caller) all.arrive_and_wait();
  };
  std::thread a(party), b(party);
  begun.wait();
  barrier.abort();
  all.arrive_and_wait();
  a.join();
  b.join();
}

INTERLEAVING_TEST(Barrier, ShowsEachPartyWhatTheOthersDidBefore) {
  Barrier barrier(2);
  int mine = 0, theirs = 0;  // written before the round, by one party each, and read after it by the other
  std::thread other([&] {
    theirs = 1;
    EXPECT_TRUE(passes(barrier)) << "nobody breaks the barrier";
    EXPECT_EQ(mine, 1) << "written by the other party before it came";
  });
  mine = 1;
  EXPECT_TRUE(passes(barrier)) << "nobody breaks the barrier";
  EXPECT_EQ(theirs, 1) << "written by the other party before it came";
  other.join();
}

INTERLEAVING_TEST(Barrier, AbortWakesEveryoneWhoWaits) {
  Barrier barrier(3);
  auto party = [&] { EXPECT_FALSE(passes(barrier)) << "the third party never came"; };
  std::thread a(party), b(party);
  barrier.abort();
  a.join();
  b.join();
}

INTERLEAVING_TEST(Barrier, AbortLeavesACompleteRoundAlone) {
  Barrier barrier(2);
  std::thread other([&] { EXPECT_TRUE(passes(barrier)) << "abort() came when the round was complete"; });
  EXPECT_TRUE(passes(barrier)) << "nobody has broken the barrier yet";
  barrier.abort();
  other.join();
}

INTERLEAVING_TEST(Barrier, ATimeOutWakesEveryoneWhoWaits) {
  Barrier barrier(3);
  std::thread a([&] { EXPECT_FALSE(passes(barrier)) << "the third party never came"; });
  std::thread b([&] { EXPECT_FALSE(passes(barrier, 100us)) << "the third party never came"; });
  a.join();
  b.join();
}

INTERLEAVING_TEST(Barrier, ReleasesAllOfARoundOrNone) {
  Barrier barrier(2);
  bool one = false;
  std::thread other([&] { one = passes(barrier, 100us); });
  bool two = passes(barrier, 100us);
  other.join();
  EXPECT_EQ(one, two) << "whether the two parties of one round were released; a time-out at the last moment is none";
}

INTERLEAVING_TEST(Barrier, ResetAfterAnAbortKeepsThoseWhoWaitedOutOfTheNextRound) {
  Barrier barrier(2);
  std::latch reset(1);
  std::thread other([&] {
    if (passes(barrier)) return;  // it came after the reset
    reset.wait();
    EXPECT_TRUE(passes(barrier)) << "after reset() two parties came";
  });
  barrier.abort();
  barrier.reset();
  reset.count_down();
  EXPECT_TRUE(passes(barrier)) << "after reset() two parties came";  // a deadlock here: the other one still sleeps
  other.join();
}
