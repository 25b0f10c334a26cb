// Partial order sampling (Yuan, Yang, Gu, CAV 2018). Each pending operation has a random priority, the highest goes
// first. Those that it conflicts with draw a new one, so that orders of conflicting operations are equally likely
// however many independent operations lie between them.

#include "explorer/memory/vector_clock.hpp"
#include "explorer/strategies/random_numbers.hpp"
#include "explorer/strategies/strategy.hpp"

namespace explorer {

namespace {

class Pos final : public Strategy {
 public:
  explicit Pos(std::uint64_t seed) : seed_(seed) {}

  bool begin(std::uint64_t schedule) override {
    random_.seed(seed_, schedule);
    created(0);
    return true;
  }
  void created(int thread) override { priority_[thread] = random_.next() | 1; }
  void yielded(int thread) override { priority_[thread] = 0; }

  int next_thread(const Candidates& candidates) override {
    int best = candidates.threads[0];
    for (int i = 1; i < candidates.count; ++i) {
      int thread = candidates.threads[i];
      if (priority_[thread] > priority_[best]) best = thread;
    }
    const Operation& chosen = candidates.pending[best];
    if (chosen.object != nullptr) {
      for (int i = 0; i < candidates.count; ++i) {
        int thread = candidates.threads[i];
        const Operation& other = candidates.pending[thread];
        if (other.object == chosen.object && (other.writes || chosen.writes)) priority_[thread] = random_.next() | 1;
      }
    }
    return best;
  }
  // The next operation of a thread is a new one.
  void took(int thread, const Operation&) override { priority_[thread] = random_.next() | 1; }
  int next_value(int n, ValueKind kind) override { return draw_value(random_, n, kind); }

 private:
  std::uint64_t seed_;
  RandomNumbers random_;
  std::uint64_t priority_[max_threads] = {};
};

}  // namespace

std::unique_ptr<Strategy> make_pos(std::uint64_t seed) { return std::make_unique<Pos>(seed); }

}  // namespace explorer
