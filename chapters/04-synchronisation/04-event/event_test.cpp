#include "exercise/test.hpp"

#include <event.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using namespace std::chrono_literals;

namespace {

// So far away that the explorer, too, lets no time-out come before it.
constexpr auto a_century = 24h * 36525;

// The end of a test's preparation: from now on a set() must release `count` threads.
void until_so_many_wait(const Event& event, int count) {
  while (event.waiting() < count) std::this_thread::yield();
}

}  // namespace

TEST(Event, IsSetOrNot) {
  Event event;
  EXPECT_FALSE(event.is_set()) << "a new event is not set";
  event.set();
  event.set();
  EXPECT_TRUE(event.is_set());
  event.clear();
  EXPECT_FALSE(event.is_set()) << "set() twice and clear() once: an event does not count";
  event.clear();
  event.set();
  EXPECT_TRUE(event.is_set()) << "clear() twice and set() once";
}

TEST(Event, LetsEveryWaitReturnWhileItIsSet) {
  Event event;
  event.set();
  event.wait();
  event.wait();
  EXPECT_TRUE(event.wait_for(1h)) << "the event is set";
  EXPECT_TRUE(event.wait_for(0ms)) << "the event is set, and nobody has to wait for that";
  EXPECT_TRUE(event.wait_for(-1s)) << "the event is set, and nobody has to wait for that";
  EXPECT_TRUE(event.is_set()) << "a wait leaves it set";
}

TEST(Event, GivesUpWhenTheTimeIsOver) {
  Event event;
  EXPECT_FALSE(event.wait_for(1ms)) << "nobody has set the event";
  EXPECT_FALSE(event.wait_for(0ms)) << "the event is not set";
  EXPECT_FALSE(event.wait_for(-1s)) << "the event is not set";
  event.set();
  event.clear();
  EXPECT_FALSE(event.wait_for(1ms)) << "the event was cleared before this wait began";
}

TEST(Event, CountsTheThreadsThatWaitAndLetsThemSleep) {
  Event event;
  EXPECT_EQ(event.waiting(), 0) << "nobody waits";
  Onlooker of_wait([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "wait() spins instead of sleeping");
    if (sight.time_limit) it.fail(FailureKind::wrong_answer, "wait() sleeps with a time limit, to look again");
    EXPECT_EQ(event.waiting(), 1) << "one thread is in wait()";
    event.set();
  });
  event.wait();
  of_wait.call_is_over();
  EXPECT_EQ(event.waiting(), 0) << "wait() has returned";

  event.clear();
  Onlooker of_wait_for([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "wait_for(1h) spins instead of sleeping");
    if (sight.time_limit && *sight.time_limit < 30min) {
      it.fail(FailureKind::wrong_answer, "wait_for(1h) sleeps with a time limit of less than 30 minutes");
    }
    EXPECT_EQ(event.waiting(), 1) << "one thread is in wait_for()";
    event.set();
  });
  EXPECT_TRUE(event.wait_for(1h)) << "the event was set meanwhile";
  of_wait_for.call_is_over();
  event.clear();
  EXPECT_FALSE(event.wait_for(1ms)) << "the event was cleared";
  EXPECT_EQ(event.waiting(), 0) << "wait_for() has returned, once released and once because its time was over";
}

INTERLEAVING_TEST(Event, ShowsWhatWasDoneBeforeItWasSet) {
  Event event;
  int result = 0;
  std::atomic<bool> it_is_set = false;  // relaxed: it says when, and orders nothing
  std::thread other([&] {
    while (!it_is_set.load(std::memory_order_relaxed)) std::this_thread::yield();
    event.wait();
    EXPECT_EQ(result, 42) << "what was written before set()";
  });
  result = 42;
  event.set();
  it_is_set.store(true, std::memory_order_relaxed);
  other.join();
}

INTERLEAVING_TEST(Event, SetReleasesEveryThreadThatWaits) {
  Event event;
  std::thread first([&] { event.wait(); }), second([&] { event.wait(); });
  event.set();
  first.join();
  second.join();
}

INTERLEAVING_TEST(Event, ReleasesNobodyBeforeItIsSet) {
  Event event;
  std::atomic<bool> about_to_set = false;
  std::thread first([&] {
    event.wait();
    EXPECT_TRUE(about_to_set) << "wait() returned before anybody had called set()";
  });
  std::thread second([&] {
    bool was_set = event.wait_for(1h);
    EXPECT_TRUE(about_to_set || !was_set) << "wait_for() returned true before anybody had called set()";
  });
  about_to_set = true;
  event.set();
  first.join();
  second.join();
}

INTERLEAVING_TEST(Event, SetReleasesThoseWhoWaitEvenIfClearFollowsAtOnce) {
  Event event;
  int result = 0;
  std::thread first([&] {
    event.wait();
    EXPECT_EQ(result, 42) << "what was written before set()";
  });
  std::thread second([&] {
    EXPECT_TRUE(event.wait_for(a_century))
        << "set() was called while this thread waited; it was cleared only after that";
  });
  until_so_many_wait(event, 2);
  result = 42;
  event.set();
  event.clear();
  first.join();
  second.join();
}

INTERLEAVING_TEST(Event, DoesNotStartTheClockAnewWhenTheThreadIsWoken) {
  Event event;
  std::atomic<bool> over = false;
  std::chrono::steady_clock::time_point end;
  std::thread waiter([&] {
    EXPECT_FALSE(event.wait_for(200us)) << "nobody has set the event";
    end = std::chrono::steady_clock::now();
    over = true;
  });
  while (event.waiting() == 0 && !over) std::this_thread::yield();
  auto counted = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - counted < 100us) {
    // The explorer may have woken the waiter for no reason: by the time it runs, half of its time is gone.
  }
  waiter.join();
  if (interleave::time_is_virtual()) {
    EXPECT_LT(end - counted, 250us) << "wait_for(200us) was woken half-way, and then waited for 200us anew";
  }
}
