// What exploring costs: schedules a second by strategy, and the parts of a step.
//
//   ninja -C build explorer_benchmark && build/bin/explorer_benchmark
//
// The body of three threads and some sixty operations is the one that schedule explorers are compared on.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "explorer/engine/fiber.hpp"
#include "explorer/explorer.hpp"

namespace {

using explorer::Options;
using explorer::Phase;
using explorer::Report;
using explorer::StrategyKind;

void three_threads() {
  std::mutex mutex;
  int count = 0;
  auto work = [&] {
    for (int i = 0; i < 9; ++i) {
      std::lock_guard lock(mutex);
      ++count;
    }
  };
  std::thread a(work), b(work), c(work);
  a.join();
  b.join();
  c.join();
}

void hundred_threads() {
  std::atomic<int> count = 0;
  std::vector<std::thread> threads;
  threads.reserve(100);
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 8; ++k) count.fetch_add(1, std::memory_order_relaxed);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

Report explored(const std::function<void()>& body, const Phase& phase, bool race_detection = true) {
  Options options;
  options.portfolio = {phase};
  options.race_detection = race_detection;
  return explorer::explore(body, options);
}

void row(const char* what, const Report& report) {
  std::printf("  %-34s%10.0f schedules/s%8.1f steps%8.0f ns/step%s\n", what,
              static_cast<double>(report.schedules) / report.seconds,
              static_cast<double>(report.steps) / static_cast<double>(report.schedules),
              report.seconds * 1e9 / static_cast<double>(report.steps),
              report.failure == explorer::Failure::none ? "" : "  FAILED");
}

// What an exploring process has resident at the most, after few schedules and after a hundred times as many.
void memory_rows() {
  std::printf("\nMost memory resident, 3 threads, old stores and spurious wake-ups\n");
  for (std::uint64_t schedules : {10'000u, 1'000'000u}) {
    Report report = explored(three_threads, {StrategyKind::random, 0, schedules, true, true});
    std::printf("  %9llu schedules%34.1f MiB\n", static_cast<unsigned long long>(report.schedules),
                static_cast<double>(report.memory) / (1 << 20));
  }
}

explorer::Fiber here, there;

void there_and_back() {
  for (;;) explorer::fiber_switch(there, here);
}

// Nanoseconds of one switch between two fibers.
double cost_of_a_switch() {
  constexpr int rounds = 1'000'000;
  static char stack[explorer::fiber_stack_size] __attribute__((aligned(4096)));
  explorer::choose_fibers(false);
  explorer::fiber_adopt(here);
  if (!explorer::fiber_create(there, stack)) return 0;
  explorer::fiber_prepare(there, there_and_back);
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) explorer::fiber_switch(here, there);
  std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  return time.count() / (2.0 * rounds);
}

}  // namespace

int main() {
  struct Strategy {
    const char* name;
    StrategyKind kind;
    int bound;
  };
  const Strategy strategies[] = {{"random", StrategyKind::random, 0},
                                 {"SURW", StrategyKind::surw, 0},
                                 {"POS", StrategyKind::pos, 0},
                                 {"PCT, depth 3", StrategyKind::pct, 3},
                                 {"systematic, at most 2 preemptions", StrategyKind::systematic, 2}};
  std::printf("3 threads, about 60 operations, race detection on\n");
  double with_detection = 0;
  for (const Strategy& strategy : strategies) {
    Report report = explored(three_threads, {strategy.kind, strategy.bound, 200'000, false, false});
    row(strategy.name, report);
    if (strategy.kind == StrategyKind::random)
      with_detection = report.seconds * 1e9 / static_cast<double>(report.steps);
  }
  Report old_stores = explored(three_threads, {StrategyKind::random, 0, 200'000, true, true});
  row("random, old stores and spurious", old_stores);
  Report without = explored(three_threads, {StrategyKind::random, 0, 200'000, false, false}, false);
  row("random, no race detection", without);
  std::printf("  (without detection the plain accesses are places to switch, so there are more steps)\n");

  std::printf("\n100 threads, ten operations each\n");
  for (const Strategy& strategy : strategies)
    row(strategy.name, explored(hundred_threads, {strategy.kind, strategy.bound, 5'000, false, false}));

  memory_rows();

  double cost = cost_of_a_switch();
  std::printf("\nA switch takes %.1f ns (%s): at most %.0f%% of a step of the random strategy.\n", cost,
              explorer::fibers_are_native() ? "fibers" : "threads, handed over", 100 * cost / with_detection);
}
