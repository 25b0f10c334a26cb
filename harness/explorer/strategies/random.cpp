// Each candidate is as likely as any other at each step. Simple, and blind: the more steps, the less likely the one
// order that matters.

#include "explorer/strategies/random_numbers.hpp"
#include "explorer/strategies/strategy.hpp"

namespace explorer {

int draw_value(RandomNumbers& random, int n, ValueKind kind) {
  switch (kind) {
    case ValueKind::waiter:
      return static_cast<int>(random.below(n));
    case ValueKind::old_store:
      return random.one_in(2) ? static_cast<int>(random.below(n)) : 0;
    case ValueKind::spurious:
      return random.one_in(8) ? 1 : 0;
    case ValueKind::time_out:
      return random.one_in(16) ? 1 : 0;
  }
  return 0;
}

namespace {

class Random final : public Strategy {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}

  bool begin(std::uint64_t schedule) override {
    random_.seed(seed_, schedule);
    return true;
  }
  int next_thread(const Candidates& candidates) override {
    return candidates.threads[random_.below(static_cast<std::uint64_t>(candidates.count))];
  }
  int next_value(int n, ValueKind kind) override { return draw_value(random_, n, kind); }

 private:
  std::uint64_t seed_;
  RandomNumbers random_;
};

}  // namespace

std::unique_ptr<Strategy> make_random(std::uint64_t seed) { return std::make_unique<Random>(seed); }

std::unique_ptr<Strategy> make_strategy(const Phase& phase, std::uint64_t seed) {
  switch (phase.strategy) {
    case StrategyKind::systematic:
      return make_systematic(phase.bound);
    case StrategyKind::surw:
      return make_surw(seed);
    case StrategyKind::pos:
      return make_pos(seed);
    case StrategyKind::pct:
      return make_pct(seed, phase.bound);
    case StrategyKind::random:
      return make_random(seed);
  }
  return nullptr;
}

}  // namespace explorer
