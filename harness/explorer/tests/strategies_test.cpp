// The strategies against small models whose schedules can be counted: no program is run here, only the choices.

#include "explorer/strategies/strategy.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "explorer/memory/vector_clock.hpp"

namespace explorer {
namespace {

using Order = std::vector<int>;  // which thread did each step

/// Threads of so many steps each, all there from the start.
struct Model {
  std::vector<int> steps;
  /// Whether `thread` can do its next step after `order`. None: always.
  std::function<bool(int thread, const Order& order)> enabled;
  /// What the step of a thread is on; one object that all write, if it is not given.
  std::function<const void*(int thread, int step)> object;
};

char common_object;

/// One schedule, as the engine would ask for it.
Order run(const Model& model, Strategy& strategy) {
  int threads = static_cast<int>(model.steps.size());
  for (int i = 1; i < threads; ++i) strategy.created(i);
  Order order;
  std::vector<int> done(model.steps.size());
  std::uint64_t last_ran[max_threads] = {};
  Operation pending[max_threads];
  int last = -1;
  for (;;) {
    std::uint8_t candidates[max_threads];
    int count = 0, current = -1;
    for (int i = 0; i < threads; ++i) {
      if (done[i] == model.steps[i] || (model.enabled && !model.enabled(i, order))) continue;
      candidates[count++] = static_cast<std::uint8_t>(i);
      if (i == last) current = i;
      pending[i] = {OperationKind::store, true, model.object ? model.object(i, done[i]) : &common_object};
    }
    if (count == 0) break;
    last = count == 1 ? candidates[0] : strategy.next_thread({candidates, count, current, pending, last_ran, false});
    order.push_back(last);
    last_ran[last] = order.size();
    ++done[last];
    strategy.took(last, pending[last]);
  }
  strategy.end(order.size());
  return order;
}

/// All orders with at most `bound` preemptions, by brute force.
void enumerate(const Model& model, int bound, Order& order, std::vector<int>& done, std::set<Order>& found) {
  int last = order.empty() ? -1 : order.back();
  bool last_can = last >= 0 && done[last] < model.steps[last];
  bool any = false;
  for (int i = 0; i < static_cast<int>(model.steps.size()); ++i) {
    if (done[i] == model.steps[i]) continue;
    any = true;
    int left = bound - (last_can && i != last ? 1 : 0);
    if (left < 0) continue;
    order.push_back(i);
    ++done[i];
    enumerate(model, left, order, done, found);
    --done[i];
    order.pop_back();
  }
  if (!any) found.insert(order);
}

std::set<Order> all_orders(const Model& model, int bound) {
  std::set<Order> found;
  Order order;
  std::vector<int> done(model.steps.size());
  enumerate(model, bound, order, done, found);
  return found;
}

constexpr int unbounded = 100;

TEST(SystematicStrategy, SeesEachOrderWithinItsBoundOnceAndNoOther) {
  for (const Model& model : {Model{{2, 2}, {}, {}}, Model{{4, 4}, {}, {}}, Model{{2, 2, 2}, {}, {}},
                             Model{{1, 3, 2}, {}, {}}, Model{{1, 2, 1, 2}, {}, {}}}) {
    for (int bound : {0, 1, 2, unbounded}) {
      auto strategy = make_systematic(bound);
      std::set<Order> seen;
      std::uint64_t schedules = 0;
      while (strategy->begin(schedules)) {
        ++schedules;
        seen.insert(run(model, *strategy));
      }
      EXPECT_EQ(seen, all_orders(model, bound)) << "bound " << bound;
      EXPECT_EQ(schedules, seen.size()) << "bound " << bound;
    }
  }
}

TEST(SystematicStrategy, CountsTheOrdersThatCombinatoricsCounts) {
  // 3 threads of 2 steps: 6!/(2!2!2!) in all, 3! without a preemption.
  EXPECT_EQ(all_orders({{2, 2, 2}, {}, {}}, unbounded).size(), 90u);
  EXPECT_EQ(all_orders({{2, 2, 2}, {}, {}}, 0).size(), 6u);
}

TEST(SystematicStrategy, ChoosesValuesInAllCombinationsAndPaysForThoseOutOfTheWay) {
  auto combinations = [](int bound, ValueKind kind) {
    auto strategy = make_systematic(bound);
    std::set<Order> seen;
    std::uint64_t schedules = 0;
    while (strategy->begin(schedules)) {
      ++schedules;
      Order values;
      for (int i = 0; i < 3; ++i) values.push_back(strategy->next_value(2, kind));
      strategy->end(3);
      seen.insert(values);
    }
    EXPECT_EQ(schedules, seen.size());
    return seen.size();
  };
  EXPECT_EQ(combinations(0, ValueKind::waiter), 8u);
  EXPECT_EQ(combinations(0, ValueKind::old_store), 8u);
  EXPECT_EQ(combinations(0, ValueKind::spurious), 1u);
  EXPECT_EQ(combinations(1, ValueKind::spurious), 4u);
  EXPECT_EQ(combinations(2, ValueKind::time_out), 7u);
}

using MakeStrategy = std::unique_ptr<Strategy> (*)(std::uint64_t seed);

std::set<Order> orders_seen(MakeStrategy make, const Model& model, std::uint64_t schedules) {
  auto strategy = make(1);
  std::set<Order> seen;
  for (std::uint64_t i = 0; i < schedules && strategy->begin(i); ++i) seen.insert(run(model, *strategy));
  return seen;
}

TEST(RandomisedStrategies, ReachEveryOrderOfATinyModel) {
  Model model{{2, 2, 2}, {}, {}};
  EXPECT_EQ(orders_seen(make_random, model, 5000), all_orders(model, unbounded));
  EXPECT_EQ(orders_seen(make_pos, model, 5000), all_orders(model, unbounded));
  EXPECT_EQ(orders_seen(make_surw, model, 5000), all_orders(model, unbounded));
}

TEST(RandomisedStrategies, DependOnTheirSeedAlone) {
  Model model{{5, 5, 5}, {}, {}};
  auto orders = [&](auto make, std::uint64_t seed) {
    auto strategy = make(seed);
    std::vector<Order> all;
    for (std::uint64_t i = 0; i < 50; ++i) {
      strategy->begin(i);
      all.push_back(run(model, *strategy));
    }
    return all;
  };
  auto make_deep = [](std::uint64_t seed) { return make_pct(seed, 3); };
  EXPECT_EQ(orders(make_random, 7), orders(make_random, 7));
  EXPECT_EQ(orders(make_pos, 7), orders(make_pos, 7));
  EXPECT_EQ(orders(make_surw, 7), orders(make_surw, 7));
  EXPECT_EQ(orders(make_deep, 7), orders(make_deep, 7));
  EXPECT_NE(orders(make_random, 7), orders(make_random, 8));
  EXPECT_NE(orders(make_pos, 7), orders(make_pos, 8));
  EXPECT_NE(orders(make_surw, 7), orders(make_surw, 8));
  EXPECT_NE(orders(make_deep, 7), orders(make_deep, 8));
}

/// The share of 2,000 seeds whose schedule, after one to learn the length from, is a bug.
double share_of_hits(int depth, const Model& model, const std::function<bool(const Order&)>& is_bug,
                     int schedules_each = 1) {
  constexpr int seeds = 2000;
  int hits = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    auto strategy = make_pct(static_cast<std::uint64_t>(seed), depth);
    for (int i = 0; i <= schedules_each; ++i) {
      strategy->begin(static_cast<std::uint64_t>(i));
      bool bug = is_bug(run(model, *strategy));
      hits += i > 0 && bug;
    }
  }
  return static_cast<double>(hits) / (static_cast<double>(seeds) * schedules_each);
}

/// The place in `order` of step number `step` of `thread`.
std::size_t place_of(const Order& order, int thread, int step) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] == thread && step-- == 0) return i;
  }
  return order.size();
}

TEST(PctStrategy, HitsABugOfDepthOneInOneOfAsManySchedulesAsThereAreThreads) {
  Model model{{12, 12, 12}, {}, {}};
  double share = share_of_hits(1, model, [](const Order& order) { return order.front() == 2; });
  EXPECT_NEAR(share, 1.0 / 3, 0.05);
}

TEST(PctStrategy, HitsABugOfDepthTwoAsOftenAsItPromises) {
  constexpr int threads = 3, steps = 36;
  Model model{{12, 12, 12}, {}, {}};
  // Another thread comes in between one certain step and the next.
  double share = share_of_hits(
      2, model,
      [](const Order& order) {
        std::size_t other = place_of(order, 1, 0);
        return place_of(order, 0, 6) < other && other < place_of(order, 0, 7);
      },
      10);
  EXPECT_GT(share, 0.7 / (threads * steps));
}

// The thread that must go last of all is the first to come to where it must be held up: what is lowered later may not
// be lowered below what was lowered before, always.
TEST(PctStrategy, HitsABugOfDepthThreeThatHoldsThreadsUpInTheOtherOrder) {
  constexpr int threads = 3, steps = 36;
  // Thread 1 begins after the first step of thread 0.
  Model model{{12, 12, 12},
              [](int thread, const Order& order) { return thread != 1 || place_of(order, 0, 0) < order.size(); },
              {}};
  double share = share_of_hits(
      3, model,
      [](const Order& order) {
        std::size_t b = place_of(order, 1, 0), c = place_of(order, 2, 0);
        return b < c && c < place_of(order, 1, 1) && place_of(order, 1, 1) < place_of(order, 0, 1);
      },
      20);
  EXPECT_GT(share, 0.5 / (threads * steps * steps));
}

/// How often each order of the steps on the common object was drawn, after as many schedules to learn from.
std::map<Order, int> orders_of_interest(const Model& model, int schedules) {
  auto strategy = make_surw(1);
  std::map<Order, int> drawn;
  for (int i = 0; i < 100 + schedules; ++i) {
    strategy->begin(static_cast<std::uint64_t>(i));
    Order order = run(model, *strategy), of_interest;
    std::vector<int> done(model.steps.size());
    for (int thread : order) {
      int step = done[static_cast<std::size_t>(thread)]++;
      if (!model.object || model.object(thread, step) == &common_object) of_interest.push_back(thread);
    }
    if (i >= 100) ++drawn[of_interest];
  }
  return drawn;
}

TEST(SurwStrategy, DrawsTheOrdersOfOneObjectUniformly) {
  auto drawn = orders_of_interest({{3, 3}, {}, {}}, 20'000);
  ASSERT_EQ(drawn.size(), 20u);
  for (const auto& [order, times] : drawn) EXPECT_NEAR(times, 1000, 200);
  // A random walk would see each order that begins with the short thread far more often than the others.
  drawn = orders_of_interest({{1, 9}, {}, {}}, 10'000);
  ASSERT_EQ(drawn.size(), 10u);
  for (const auto& [order, times] : drawn) EXPECT_NEAR(times, 1000, 200);
}

TEST(SurwStrategy, IsNotMisledByStepsOnOtherObjects) {
  static char own[2];
  // One thread does ten steps of its own before each that is of interest.
  Model model{{33, 3}, {}, [](int thread, int step) -> const void* {
                return thread == 0 && step % 11 != 10 ? &own[0] : &common_object;
              }};
  auto drawn = orders_of_interest(model, 20'000);
  ASSERT_EQ(drawn.size(), 20u);
  for (const auto& [order, times] : drawn) EXPECT_NEAR(times, 1000, 250);
}

}  // namespace
}  // namespace explorer
