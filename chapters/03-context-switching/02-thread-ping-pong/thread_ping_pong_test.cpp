#include "exercise/test.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <thread_ping_pong.hpp>

using interleave::FailureKind;
using interleave::in_parent;
using interleave::Onlooker;
using std::chrono::nanoseconds;

namespace {

using Cpus = std::set<int>;

// The CPUs that a thread may use; 0 is the calling one.
Cpus cpus_of(pid_t thread) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(thread, sizeof(set), &set);
  Cpus cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.insert(cpu);
  }
  return cpus;
}

bool allow(const Cpus& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus) CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

std::set<pid_t> threads() {
  std::set<pid_t> ids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    ids.insert(std::stoi(task.path().filename()));
  }
  return ids;
}

long context_switches_of_all_threads() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

bool kernel_counts_switches() {
  long before = context_switches_of_all_threads();
  usleep(1);
  return context_switches_of_all_threads() > before;
}

// A clock that does something when it is read for the first and for the second time, and tells the same time always.
struct Readings {
  std::function<void()> first, second = [] {};
  int count = 0;
  nanoseconds operator()() {
    if (++count == 1) first();
    if (count == 2) second();
    return nanoseconds(0);
  }
};

// The CPUs that the two threads may use, both together, when the clock is read for the first time.
Cpus cpus_of_the_players() {
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

// After each test its thread may use the CPUs of before, whatever the learner's code has made of them.
class ThreadPingPong : public testing::Test {
 protected:
  const Cpus allowed = cpus_of(0);
  ~ThreadPingPong() override { allow(allowed); }
};

#define NEEDS_AFFINITY() \
  if (!allow(allowed)) GTEST_SKIP() << "this machine does not let a thread choose its CPUs (sched_setaffinity)"
#define NEEDS_COUNTERS() \
  if (!kernel_counts_switches()) GTEST_SKIP() << "this kernel does not count context switches (getrusage)"

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
  if (allowed.size() < 2) GTEST_SKIP() << "this process may use one CPU only, and so may all its threads";
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
  Readings clock{[&] { at_first = context_switches_of_all_threads(); },
                 [&] { at_second = context_switches_of_all_threads(); }};
  const long at_call = context_switches_of_all_threads();
  SwitchCost cost = in_parent([&] { return thread_ping_pong(round_trips, warm_up, std::ref(clock)); });
  EXPECT_GE(at_first - at_call, 2 * warm_up - 10)
      << "switches before now() is called first: 5000 round trips of warm-up";
  EXPECT_GE(at_second - at_first, 2 * round_trips - 10)
      << "switches between the two calls of now(), in 100 round trips";
  EXPECT_LE(at_second - at_first, at_most) << "switches between the two calls of now(), in 100 round trips";
  EXPECT_LE(cost.kernel_switches, at_most) << "switches that were reported for 100 round trips";
}

// The last test, since whatever comes out of the learner's code in another thread ends the program.
TEST_F(ThreadPingPong, SaysSoWhenItMayNotChooseTheCpu) {
  bool refused = false;
  std::optional<int> error;
  std::thread([&] {
    // From here on, in this thread and in those that it starts, sched_setaffinity(2) fails with EPERM.
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{std::size(program), program};
    refused = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
    if (!refused) return;
    try {
      thread_ping_pong(10, 1);
    } catch (const std::system_error& caught) {
      error = caught.code().value();
    }
  }).join();
  if (!refused) GTEST_SKIP() << "this machine does not let a process forbid itself a system call (seccomp)";
  EXPECT_EQ(error, EPERM) << "sched_setaffinity() failed with EPERM, and std::system_error must say so";
}
