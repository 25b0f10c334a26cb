#include "exercise/test.hpp"

#include <thread_ping_pong.hpp>

#include <given/ping_pong_test.hpp>

using interleave::FailureKind;
using interleave::in_parent;
using interleave::Onlooker;
using std::chrono::nanoseconds;

namespace {

class ThreadPingPong : public PingPongTest {
 protected:
  static std::set<pid_t> threads() {
    std::set<pid_t> ids;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      ids.insert(std::stoi(task.path().filename()));
    }
    return ids;
  }

  // The CPUs that the two threads may use, both together, when the clock is read for the first time.
  static Cpus cpus_of_the_players() {
    const std::set<pid_t> before = threads();
    Cpus cpus;
    Readings clock{[&] {
      for (pid_t thread : threads()) {
        if (thread == gettid() || !before.contains(thread)) cpus.merge(cpus_of(thread));
      }
    }};
    in_parent([&] { return thread_ping_pong(20, 5, std::ref(clock)); });
    return cpus;
  }
};

}  // namespace

TEST_F(ThreadPingPong, RefusesLessThanOneRoundTripAndANegativeWarmUp) {
  EXPECT_THROW(in_parent([&] { return thread_ping_pong(0, 0); }), std::invalid_argument) << "no round trip";
  EXPECT_THROW(in_parent([&] { return thread_ping_pong(-1, 0); }), std::invalid_argument) << "-1 round trips";
  EXPECT_THROW(in_parent([&] { return thread_ping_pong(1, -1); }), std::invalid_argument) << "a warm-up of -1";
}

TEST_F(ThreadPingPong, DividesTheTimeByTwoSwitchesForEachRoundTrip) {
  NEEDS_AFFINITY();
  int readings = 0;
  Clock clock = [&] { return nanoseconds(readings++ == 0 ? 1000 : 1750); };
  SwitchCost cost = in_parent([&] { return thread_ping_pong(50, 5, clock); });
  EXPECT_EQ(readings, 2) << "calls of now()";
  EXPECT_EQ(cost.switches, 100) << "50 round trips, there and back";
  EXPECT_EQ(cost.elapsed.count(), 750) << "nanoseconds from the first reading of the clock to the second";
  EXPECT_NEAR(cost.nanoseconds_per_switch, 7.5, 1e-6) << "750 ns for 100 switches";
}

TEST_F(ThreadPingPong, PlaysWithoutAWarmUp) {
  NEEDS_AFFINITY();
  EXPECT_EQ(in_parent([&] { return thread_ping_pong(1, 0); }).switches, 2) << "there and back, nothing before";
}

TEST_F(ThreadPingPong, KeepsBothThreadsOnOneCpu) {
  NEEDS_AFFINITY();
  NEEDS_TWO_CPUS();
  EXPECT_EQ(cpus_of_the_players().size(), 1U) << "CPUs that the two threads may use while they play";
}

TEST_F(ThreadPingPong, TakesACpuThatTheCallerMayUse) {
  NEEDS_AFFINITY();
  const Cpus last = {*allowed.rbegin()};
  ASSERT_TRUE(allow(last));
  EXPECT_EQ(cpus_of_the_players(), last) << "the caller may use this CPU only, so the two threads may use no other";
  EXPECT_EQ(cpus_of(0), last) << "the caller may use this CPU only, after the call as well";
}

TEST_F(ThreadPingPong, GivesTheCallerItsCpusBack) {
  NEEDS_AFFINITY();
  in_parent([&] { return thread_ping_pong(1, 1); });
  EXPECT_EQ(cpus_of(0), allowed) << "the CPUs that the calling thread may use after the call";
  NEEDS_TWO_CPUS();
}

TEST_F(ThreadPingPong, EndsTheGameWhenTheClockThrows) {
  NEEDS_AFFINITY();
  struct OutOfOrder {};
  auto fail = [] { throw OutOfOrder(); };
  Readings first{fail}, second{[] {}, fail};
  EXPECT_THROW(in_parent([&] { return thread_ping_pong(10, 1, std::ref(first)); }), OutOfOrder)
      << "at the first reading";
  EXPECT_THROW(in_parent([&] { return thread_ping_pong(10, 1, std::ref(second)); }), OutOfOrder) << "at the second";
  EXPECT_EQ(cpus_of(0), allowed) << "the CPUs that the calling thread may use after an exception";
  NEEDS_TWO_CPUS();
}

TEST_F(ThreadPingPong, SleepsWhileItWaitsForTheToken) {
  NEEDS_AFFINITY();
  std::promise<void> seen;
  Onlooker onlooker([&](Onlooker& it) {
    // Who reads the clock sleeps in there until it has been seen that the other one sleeps too.
    if (it.wait_until_asleep().what == Onlooker::busy) {
      it.fail(FailureKind::wrong_answer, "a thread spins, instead of sleeping, while the other one has the token");
    }
    seen.set_value();
  });
  Readings clock{[&] { seen.get_future().wait(); }};
  in_parent([&] { return thread_ping_pong(10, 10, std::ref(clock)); });
  onlooker.call_is_over();
}

TEST_F(ThreadPingPong, ReportsTheSwitchesThatTheKernelCounted) {
  NEEDS_AFFINITY();
  NEEDS_COUNTERS();
  // On one CPU, who gets the token back has been off the CPU meanwhile: once for each round trip, both of them.
  EXPECT_GE(in_parent([&] { return thread_ping_pong(200, 10); }).kernel_switches, 390)
      << "switches that the kernel counted for both threads in 400 hand-overs";
}

TEST_F(ThreadPingPong, LeavesTheWarmUpOut) {
  NEEDS_AFFINITY();
  NEEDS_COUNTERS();
  constexpr long warm_up = 5000, round_trips = 100;
  // A condition variable may need two or three switches for a hand-over, and others may come in between.
  constexpr long at_most = 20 * round_trips;
  long at_first = 0, at_second = 0;
  Readings clock{[&] { at_first = context_switches(); }, [&] { at_second = context_switches(); }};
  const long at_call = context_switches();
  SwitchCost cost = in_parent([&] { return thread_ping_pong(round_trips, warm_up, std::ref(clock)); });
  EXPECT_GE(at_first - at_call, 2 * warm_up - 10)
      << "switches before now() is called first: 5000 round trips of warm-up";
  EXPECT_GE(at_second - at_first, 2 * round_trips - 10)
      << "switches between the two calls of now(), in 100 round trips";
  EXPECT_LE(at_second - at_first, at_most) << "switches between the two calls of now(), in 100 round trips";
  EXPECT_LE(cost.kernel_switches, at_most) << "switches that were reported for 100 round trips";
}

TEST_F(ThreadPingPong, SaysSoWhenItMayNotChooseTheCpu) {
  auto error = error_where_affinity_is_refused([] { thread_ping_pong(10, 1); });
  if (!error) GTEST_SKIP() << "this machine does not let a thread forbid itself a system call (seccomp)";
  EXPECT_EQ(*error, EPERM) << "sched_setaffinity() failed with EPERM, and std::system_error must say so";
}
