// What it costs to switch: the lecture's table, with this machine's figures beside the lecture's.
//
//   cmake --build build --target 03-context-switching.bench && build/programs/benchmarks/03-context-switching.bench
//
// The table comes last; with --benchmark_repetitions=5 it has the median of five. Let nothing else run meanwhile; who
// is root can see to that with `chrt -f 5` before the command, which gives it each CPU before all others.
//
// Times are times of the clock on the wall. `per_switch` is the time for one switch, and so for half a round trip; a
// counter that is a time has its unit behind it (912.3ns).

#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fiber.hpp>
#include <process_ping_pong.hpp>
#include <string>
#include <thread>
#include <thread_ping_pong.hpp>
#include <vector>

namespace {

using benchmark::Counter;
using benchmark::State;

constexpr std::size_t mebibyte = std::size_t{1} << 20;

// The seconds that one of `events` took.
void report_per_switch(State& state, double events) {
  state.counters["per_switch"] = Counter(events, Counter::kIsRate | Counter::kInvert);
}

// Runs one ping-pong after the other; play() returns what it has measured.
template <typename Play>
void measure(State& state, Play play) {
  double switches = 0;
  for (auto _ : state) {
    const SwitchCost cost = play();
    state.SetIterationTime(std::chrono::duration<double>(cost.elapsed).count());
    switches += static_cast<double>(cost.switches);
  }
  report_per_switch(state, switches);
}

// As few round trips as there is much to go over in each, so that one ping-pong takes milliseconds.
long round_trips_for(std::size_t working_set) {
  return std::max(4L, 4000 / static_cast<long>(1 + working_set / 16384));
}

// ----- No kernel, or hardly any -------------------------------------------------------------------------------------

[[gnu::noinline]] int function(int number) {
  asm volatile("" : "+r"(number));  // so that the call is not thought away
  return number;
}

void function_call(State& state) {
  int number = 0;
  constexpr int calls = 1000;
  for (auto _ : state) {
    for (int i = 0; i < calls; ++i) number = function(number);
  }
  benchmark::DoNotOptimize(number);
  report_per_switch(state, calls * static_cast<double>(state.iterations()));
}

// To the kernel and back, with nothing to do there.
void system_call(State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(::syscall(SYS_getppid));
  report_per_switch(state, static_cast<double>(state.iterations()));
}

// From a fiber to its scheduler and back. swapcontext makes a system call each time, for the signal mask.
void fiber(State& state) {
  FiberScheduler scheduler;
  scheduler.spawn([&] {
    for (auto _ : state) scheduler.yield();
  });
  scheduler.run();
  report_per_switch(state, 2.0 * static_cast<double>(state.iterations()));
}

// ----- Threads ------------------------------------------------------------------------------------------------------

void thread_on_one_cpu(State& state) {
  measure(state, [] { return thread_ping_pong(4000, 100); });
}

void go_to(std::size_t cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (::sched_setaffinity(0, sizeof(one), &one) != 0) throw_errno("sched_setaffinity");
}

std::vector<std::size_t> allowed_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) throw_errno("sched_getaffinity");
  std::vector<std::size_t> cpus;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// The ping-pong of 3.2 with a CPU and a working set for each of two threads. It runs in a thread of its own, so that
// the CPUs of the benchmark's thread stay as they are.
SwitchCost play_on(std::size_t cpu_here, std::size_t cpu_there, std::size_t working_set) {
  const long round_trips = round_trips_for(working_set);
  const long warm_up = std::max(1L, round_trips / 40);
  SwitchCost cost{2 * round_trips, 0, {}, 0};
  Token token;
  std::thread there([&] {
    go_to(cpu_there);
    WorkingSet memory(working_set);
    while (token.wait_as(Token::other)) {
      memory.add(1);
      token.hand_to(Token::caller);
    }
  });
  std::thread here([&] {
    go_to(cpu_here);
    WorkingSet memory(working_set);
    std::chrono::nanoseconds start{};
    for (long i = -warm_up; i < round_trips; ++i) {
      if (i == 0) start = steady_clock_now();
      token.hand_to(Token::other);
      token.wait_as(Token::caller);
      memory.add(1);
    }
    cost.elapsed = steady_clock_now() - start;
  });
  here.join();
  token.call_off();
  there.join();
  return cost;
}

// The first CPU and the last, which are the furthest apart on most machines.
void thread_across_cpus(State& state) {
  const auto cpus = allowed_cpus();
  if (cpus.size() < 2) {
    state.SkipWithError("this process may use one CPU only");
    return;
  }
  measure(state, [&] { return play_on(cpus.front(), cpus.back(), 0); });
}

void thread_with_working_set(State& state, std::size_t working_set) {
  const std::size_t cpu = allowed_cpus().front();
  measure(state, [&] { return play_on(cpu, cpu, working_set); });
}

// ----- Processes ----------------------------------------------------------------------------------------------------

void process(State& state, std::size_t working_set) {
  const long round_trips = round_trips_for(working_set);
  measure(state, [&] { return process_ping_pong(round_trips, std::max(1L, round_trips / 40), working_set); });
}

// What of that is no switch at all: one thread that goes over its memory again and again, and nobody comes between.
void memory_alone(State& state, std::size_t working_set) {
  WorkingSet memory(working_set);
  memory.add(1);
  for (auto _ : state) memory.add(1);
  report_per_switch(state, static_cast<double>(state.iterations()));
}

// ----- Virtual machines ---------------------------------------------------------------------------------------------

// In a virtual machine the instruction cpuid always leads out to the hypervisor and back.
void leave_the_virtual_machine(State& state) {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  __cpuid(1, a, b, c, d);
  if ((c >> 31 & 1) != 0) {
    for (auto _ : state) {
      a = c = 0;
      asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    }
    report_per_switch(state, static_cast<double>(state.iterations()));
    return;
  }
#endif
  state.SkipWithError("this is no virtual machine, or not one that can be told from within");
}

// ----- The table ----------------------------------------------------------------------------------------------------

struct Row {
  std::string benchmark;  // its name
  const char* what;
  const char* lecture;
  std::vector<double> seconds = {};  // one for each repetition
};

std::vector<Row> table = {
    {"function_call", "function call", ""},
    {"system_call", "system call (getppid)", ""},
    {"fiber", "fiber (ucontext)", ""},
    {"thread_on_one_cpu", "thread, on one CPU", "1-10 us"},
    {"thread_across_cpus", "thread, from one CPU to another", "1-10 us"},
    {"process", "process, on one CPU", "10-100 us"},
    {"process/1MiB", "process, 1 MiB to go over", "10-100 us"},
    {"thread/1MiB", "  the same between threads", ""},
    {"memory/1MiB", "  the memory alone, no switch", ""},
    {"process/8MiB", "process, 8 MiB to go over", "10-100 us"},
    {"thread/8MiB", "  the same between threads", ""},
    {"memory/8MiB", "  the memory alone, no switch", ""},
    {"process/64MiB", "process, 64 MiB to go over", "10-100 us"},
    {"thread/64MiB", "  the same between threads", ""},
    {"memory/64MiB", "  the memory alone, no switch", ""},
    {"leave_the_virtual_machine", "out of the virtual machine and back", "100+ us (1)"},
};

constexpr const char* notes = R"(
(1) From one virtual machine to another: out of the one, a switch of threads in the host, into the other. From within it
    cannot be measured. What can, if this is a virtual machine, is the way out and back, by the instruction cpuid; the
    host's switch is one of the rows above, on the host. Agesen et al., "Software Techniques for Avoiding Hardware
    Virtualization Exits" (USENIX ATC 2012), has the way out and back on processors from 2005 on.
)";

void register_benchmarks() {
  using benchmark::RegisterBenchmark;
  constexpr auto nanosecond = benchmark::kNanosecond;
  constexpr auto microsecond = benchmark::kMicrosecond;
  RegisterBenchmark("function_call", function_call)->Unit(nanosecond);
  RegisterBenchmark("system_call", system_call)->Unit(nanosecond);
  RegisterBenchmark("fiber", fiber)->Unit(nanosecond);
  RegisterBenchmark("thread_on_one_cpu", thread_on_one_cpu)->Unit(microsecond)->UseManualTime();
  RegisterBenchmark("thread_across_cpus", thread_across_cpus)->Unit(microsecond)->UseManualTime();
  RegisterBenchmark("process", process, 0)->Unit(microsecond)->UseManualTime();
  for (std::size_t size : {1, 8, 64}) {
    const std::string name = "/" + std::to_string(size) + "MiB";
    const std::size_t bytes = size * mebibyte;
    RegisterBenchmark(("process" + name).c_str(), process, bytes)->Unit(microsecond)->UseManualTime();
    RegisterBenchmark(("thread" + name).c_str(), thread_with_working_set, bytes)->Unit(microsecond)->UseManualTime();
    RegisterBenchmark(("memory" + name).c_str(), memory_alone, bytes)->Unit(microsecond)->UseRealTime();
  }
  RegisterBenchmark("leave_the_virtual_machine", leave_the_virtual_machine)->Unit(nanosecond);
}

// Prints as usual, and keeps what belongs into the table.
class Reporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto counter = run.counters.find("per_switch");
      if (run.run_type != Run::RT_Iteration || counter == run.counters.end()) continue;
      for (Row& row : table) {
        if (row.benchmark == run.run_name.function_name) row.seconds.push_back(counter->second.value);
      }
    }
  }
};

std::string median(std::vector<double> seconds) {
  if (seconds.empty()) return "-";
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  const double nanoseconds = *middle * 1e9;
  std::array<char, 32> text;
  if (nanoseconds < 1e3) {
    std::snprintf(text.data(), text.size(), "%.3g ns", nanoseconds);
  } else {
    std::snprintf(text.data(), text.size(), nanoseconds < 1e6 ? "%.3g us" : "%.0f us", nanoseconds / 1e3);
  }
  return text.data();
}

}  // namespace

int main(int argc, char** argv) {
  register_benchmarks();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();

  std::printf("\n%-40s %14s %14s\n", "one switch", "the lecture", "this machine");
  for (const Row& row : table) {
    std::printf("%-40s %14s %14s\n", row.what, row.lecture, median(row.seconds).c_str());
  }
  std::printf("%s", notes);
}
