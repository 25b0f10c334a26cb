// Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010). Each thread has a random priority, the
// highest runs; at d-1 random steps the one that runs gets a priority below all of these, a lower one with each number,
// but the steps do not come in the order of their numbers. A bug that needs d ordered steps among n threads of k steps
// in all is hit with probability 1/(n k^(d-1)) or more by each schedule.

#include "explorer/memory/vector_clock.hpp"
#include "explorer/strategies/random_numbers.hpp"
#include "explorer/strategies/strategy.hpp"

namespace explorer {

namespace {

class Pct final : public Strategy {
 public:
  Pct(std::uint64_t seed, int depth) : seed_(seed), depth_(depth) {}

  bool begin(std::uint64_t schedule) override {
    random_.seed(seed_, schedule);
    step_ = 0;
    lowest_ = -most_changes;
    created(0);
    for (int i = 0; i < depth_ - 1; ++i) change_at_[i] = 1 + random_.below(longest_);
    return true;
  }
  void created(int thread) override { priority_[thread] = 1000 + static_cast<std::int64_t>(random_.next() & 0xFFFFFF); }
  void yielded(int thread) override { priority_[thread] = --lowest_; }
  void took(int thread, const Operation&) override {
    ++step_;
    for (int i = 0; i < depth_ - 1; ++i) {
      if (change_at_[i] == step_) priority_[thread] = -1 - i;
    }
  }

  int next_thread(const Candidates& candidates) override {
    int best = candidates.threads[0];
    for (int i = 1; i < candidates.count; ++i) {
      int thread = candidates.threads[i];
      if (priority_[thread] > priority_[best]) best = thread;
    }
    return best;
  }
  int next_value(int n, ValueKind kind) override { return draw_value(random_, n, kind); }
  void end(std::uint64_t steps) override {
    if (steps > longest_) longest_ = steps;
  }

 private:
  static constexpr int most_changes = 16;
  std::uint64_t seed_;
  int depth_;
  RandomNumbers random_;
  std::uint64_t step_ = 0, longest_ = 32;
  std::uint64_t change_at_[most_changes] = {};
  std::int64_t priority_[max_threads] = {}, lowest_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_pct(std::uint64_t seed, int depth) {
  return std::make_unique<Pct>(seed, depth < 1 ? 1 : depth > 16 ? 16 : depth);
}

}  // namespace explorer
