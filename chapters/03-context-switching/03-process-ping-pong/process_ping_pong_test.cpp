#include "exercise/test.hpp"

#include <process_ping_pong.hpp>

#include <given/ping_pong_test.hpp>

using interleave::in_parent;
using std::chrono::nanoseconds;

namespace {

class ProcessPingPong : public PingPongTest {
 protected:
  static std::vector<pid_t> children() {
    std::vector<pid_t> pids;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream file(task.path() / "children");
      for (pid_t pid; file >> pid;) pids.push_back(pid);
    }
    return pids;
  }

  // The CPUs that the two processes may use, both together, when the clock is read for the first time.
  static Cpus cpus_of_the_players() {
    Cpus cpus;
    Readings clock{[&] {
      cpus = cpus_of(0);
      for (pid_t child : children()) cpus.merge(cpus_of(child));
    }};
    in_parent([&] { return process_ping_pong(20, 5, 0, std::ref(clock)); });
    return cpus;
  }

  // The bytes of memory that a process has for itself; nothing if the kernel does not tell.
  static std::optional<std::size_t> private_memory(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/smaps_rollup");
    std::size_t kibibytes = 0, count = 0;
    bool told = false;
    for (std::string word; file >> word;) {
      bool counts = word == "Private_Clean:" || word == "Private_Dirty:" || word == "Swap:";
      if (counts && file >> count) kibibytes += count, told = true;
    }
    return told ? std::optional(kibibytes * 1024) : std::nullopt;
  }

  // Whether a process falls asleep before it has used far more of the CPU than that takes.
  static bool falls_asleep(pid_t process) {
    long ticks_at_first = -1;
    while (true) {
      std::ifstream file("/proc/" + std::to_string(process) + "/stat");
      std::string line;
      std::getline(file, line);
      std::istringstream fields(line.substr(line.rfind(')') + 1));  // proc(5): state, 10 numbers, utime, stime
      std::string state, skipped;
      long user = 0, system = 0;
      fields >> state;
      for (int i = 0; i < 10; ++i) fields >> skipped;
      fields >> user >> system;
      if (state != "R") return true;
      if (ticks_at_first < 0) ticks_at_first = user + system;
      if (user + system - ticks_at_first > sysconf(_SC_CLK_TCK) * 3 / 10) return false;
      sched_yield();
    }
  }
};

}  // namespace

TEST_F(ProcessPingPong, RefusesLessThanOneRoundTripAndANegativeWarmUp) {
  EXPECT_THROW(in_parent([&] { return process_ping_pong(0, 0, 0); }), std::invalid_argument) << "no round trip";
  EXPECT_THROW(in_parent([&] { return process_ping_pong(-1, 0, 0); }), std::invalid_argument) << "-1 round trips";
  EXPECT_THROW(in_parent([&] { return process_ping_pong(1, -1, 0); }), std::invalid_argument) << "a warm-up of -1";
}

TEST_F(ProcessPingPong, LeavesNothingBehind) {
  // What is left after a test is found after every test; this one does nothing else, so that it is found here.
  NEEDS_AFFINITY();
  in_parent([&] { return process_ping_pong(1, 0, 0); });
}

TEST_F(ProcessPingPong, PlaysAgainstAChildProcess) {
  NEEDS_AFFINITY();
  std::size_t count = 0;
  pid_t reader = 0;
  Readings clock{[&] { count = children().size(), reader = getpid(); }};
  in_parent([&] { return process_ping_pong(10, 1, 0, std::ref(clock)); });
  EXPECT_EQ(reader, getpid()) << "the process that calls now() first";
  EXPECT_EQ(count, 1U) << "child processes when now() is called first";
}

TEST_F(ProcessPingPong, DividesTheTimeByTwoSwitchesForEachRoundTrip) {
  NEEDS_AFFINITY();
  int readings = 0;
  Clock clock = [&] { return nanoseconds(readings++ == 0 ? 1000 : 1750); };
  ProcessSwitchCost cost = in_parent([&] { return process_ping_pong(50, 5, 0, clock); });
  EXPECT_EQ(readings, 2) << "calls of now()";
  EXPECT_EQ(cost.switches, 100) << "50 round trips, there and back";
  EXPECT_EQ(cost.elapsed.count(), 750) << "nanoseconds from the first reading of the clock to the second";
  EXPECT_NEAR(cost.nanoseconds_per_switch, 7.5, 1e-6) << "750 ns for 100 switches";
}

TEST_F(ProcessPingPong, KeepsBothProcessesOnOneCpu) {
  NEEDS_AFFINITY();
  NEEDS_TWO_CPUS();
  EXPECT_EQ(cpus_of_the_players().size(), 1U) << "CPUs that the two processes may use while they play";
}

TEST_F(ProcessPingPong, TakesACpuThatTheCallerMayUse) {
  NEEDS_AFFINITY();
  const Cpus last = {*allowed.rbegin()};
  ASSERT_TRUE(allow(last));
  EXPECT_EQ(cpus_of_the_players(), last) << "the caller may use this CPU only, so the two processes may use no other";
  EXPECT_EQ(cpus_of(0), last) << "the caller may use this CPU only, after the call as well";
}

TEST_F(ProcessPingPong, GivesTheCallerItsCpusBack) {
  NEEDS_AFFINITY();
  in_parent([&] { return process_ping_pong(1, 1, 0); });
  EXPECT_EQ(cpus_of(0), allowed) << "the CPUs that the calling thread may use after the call";
  NEEDS_TWO_CPUS();
}

TEST_F(ProcessPingPong, EndsTheGameWhenTheClockThrows) {
  NEEDS_AFFINITY();
  struct OutOfOrder {};
  auto fail = [] { throw OutOfOrder(); };
  Readings first{fail}, second{[] {}, fail};
  EXPECT_THROW(in_parent([&] { return process_ping_pong(10, 1, 0, std::ref(first)); }), OutOfOrder) << "first reading";
  EXPECT_THROW(in_parent([&] { return process_ping_pong(10, 1, 0, std::ref(second)); }), OutOfOrder) << "second one";
  EXPECT_EQ(cpus_of(0), allowed) << "the CPUs that the calling thread may use after an exception";
  NEEDS_TWO_CPUS();
}

TEST_F(ProcessPingPong, SaysSoWhenTheChildCannotBeStarted) {
  NEEDS_AFFINITY();
  interleave::FailingFork first_fork_fails(0);
  try {
    in_parent([&] { return process_ping_pong(10, 1, 4096); });
    ADD_FAILURE() << "fork() failed with EAGAIN, so process_ping_pong must throw std::system_error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the code of the exception is the error of fork()";
  }
  EXPECT_EQ(cpus_of(0), allowed) << "the CPUs that the calling thread may use after an exception";
}

TEST_F(ProcessPingPong, SleepsWhileItWaitsForTheToken) {
  NEEDS_AFFINITY();
  bool asleep = true;
  Readings clock{[&] {
    for (pid_t child : children()) asleep = asleep && falls_asleep(child);
  }};
  in_parent([&] { return process_ping_pong(10, 10, 0, std::ref(clock)); });
  EXPECT_TRUE(asleep) << "the child spins, instead of sleeping, while the calling process has the token";
}

TEST_F(ProcessPingPong, ReportsTheSwitchesThatTheKernelCounted) {
  NEEDS_AFFINITY();
  NEEDS_COUNTERS();
  // On one CPU, who gets the token back has been off the CPU meanwhile: once for each round trip, both of them.
  EXPECT_GE(in_parent([&] { return process_ping_pong(200, 10, 0); }).kernel_switches, 390)
      << "switches that the kernel counted for both processes in 400 hand-overs";
}

TEST_F(ProcessPingPong, LeavesTheWarmUpOut) {
  NEEDS_AFFINITY();
  NEEDS_COUNTERS();
  constexpr long warm_up = 5000, round_trips = 100;
  // A condition variable may need two or three switches for a hand-over, and others may come in between.
  constexpr long at_most = 20 * round_trips;
  long at_first = 0, at_second = 0;
  Readings clock{[&] { at_first = context_switches(); }, [&] { at_second = context_switches(); }};
  const long at_call = context_switches();
  ProcessSwitchCost cost = in_parent([&] { return process_ping_pong(round_trips, warm_up, 0, std::ref(clock)); });
  EXPECT_GE(at_first - at_call, warm_up - 10) << "switches of the caller before now() is called, 5000 round trips";
  EXPECT_GE(at_second - at_first, round_trips - 10)
      << "switches of the caller between the calls of now(), 100 round trips";
  EXPECT_LE(at_second - at_first, at_most) << "switches of the caller between the calls of now(), 100 round trips";
  EXPECT_LE(cost.kernel_switches, at_most) << "switches that were reported for 100 round trips";
}

TEST_F(ProcessPingPong, AddsTheTokenToEachLineOfBothWorkingSets) {
  NEEDS_AFFINITY();
  auto checksum = [&](long round_trips, long warm_up, std::size_t bytes) {
    return in_parent([&] { return process_ping_pong(round_trips, warm_up, bytes); }).checksum;
  };
  EXPECT_EQ(checksum(3, 2, 10 * 64), 10U * 55) << "10 lines, to which the tokens 1 to 10 were added: 5 here, 5 there";
  EXPECT_EQ(checksum(3, 2, 10 * 64 + 63), 10U * 55) << "10 lines, and 63 bytes that are no line";
  EXPECT_EQ(checksum(3, 2, 1 << 20), 16384U * 55) << "16,384 lines, to which the tokens 1 to 10 were added";
  EXPECT_EQ(checksum(1, 0, 3 * 64), 3U * 3) << "3 lines, to which 1 was added there and 2 here";
  EXPECT_EQ(checksum(3, 2, 63), 0U) << "no line";
  EXPECT_EQ(checksum(3, 2, 0), 0U) << "no memory";
}

TEST_F(ProcessPingPong, GoesOverMemoryThatIsReallyThere) {
  NEEDS_AFFINITY();
  if (!private_memory(getpid())) GTEST_SKIP() << "this kernel does not tell what memory is there (smaps_rollup)";
  constexpr std::size_t working_set = std::size_t{16} << 20;
  std::size_t in_the_caller = 0, in_the_child = 0;
  Readings clock{[&] {
    // After the fork, only what either of them has written since is its own.
    in_the_caller = private_memory(getpid()).value_or(0);
    for (pid_t child : children()) in_the_child = private_memory(child).value_or(0);
  }};
  in_parent([&] { return process_ping_pong(1, 1, working_set, std::ref(clock)); });
  EXPECT_GE(in_the_caller, working_set)
      << "bytes that the calling process has for itself after a round trip of warm-up";
  EXPECT_GE(in_the_child, working_set) << "bytes that the child has for itself after a round trip of warm-up";
}

TEST_F(ProcessPingPong, SaysSoWhenItMayNotChooseTheCpu) {
  auto error = error_where_affinity_is_refused([] { process_ping_pong(10, 1, 0); });
  if (!error) GTEST_SKIP() << "this machine does not let a thread forbid itself a system call (seccomp)";
  EXPECT_EQ(*error, EPERM) << "sched_setaffinity() failed with EPERM, and std::system_error must say so";
}
