// Every schedule with at most so many preemptions (CHESS: Musuvathi and others, OSDI 2008), depth first. A preemption
// takes the turn from a thread that could go on; so does, for this count, a time-out that fires early or a wait that
// wakes for no reason. Who goes on after a thread that blocked or ended costs nothing, nor does which waiter is woken.

#include <algorithm>
#include <vector>

#include "explorer/strategies/strategy.hpp"

namespace explorer {

namespace {

class Systematic final : public Strategy {
 public:
  explicit Systematic(int bound) : bound_(bound) { nodes_.resize(most_choices); }

  bool begin(std::uint64_t schedule) override {
    if (schedule > 0 && !advance()) return false;
    position_ = 0;
    preemptions_ = 0;
    return true;
  }

  int next_thread(const Candidates& candidates) override {
    if (candidates.fair) {
      const std::uint8_t* end = candidates.threads + candidates.count;
      return *std::min_element(candidates.threads, end, [&](std::uint8_t a, std::uint8_t b) {
        return candidates.last_ran[a] < candidates.last_ran[b];
      });
    }
    bool preempting = candidates.current >= 0;
    int options = preempting && preemptions_ >= bound_ ? 1 : candidates.count;
    int taken = choose(options);
    if (!preempting) return candidates.threads[taken];
    // The one that runs is option 0; then the others in their order.
    if (taken == 0) return candidates.current;
    ++preemptions_;
    int i = 0;
    for (;; ++i) {
      if (candidates.threads[i] == candidates.current) continue;
      if (--taken == 0) return candidates.threads[i];
    }
  }

  int next_value(int n, ValueKind kind) override {
    bool costs = kind != ValueKind::waiter && kind != ValueKind::old_store;
    if (costs && preemptions_ >= bound_) return 0;
    int taken = choose(n);
    if (costs && taken != 0) ++preemptions_;
    return taken;
  }

 private:
  struct Node {
    std::uint8_t taken;
    std::uint8_t options;
  };
  static constexpr std::size_t most_choices = 1 << 16;

  int choose(int options) {
    if (options == 1) return 0;
    if (position_ == depth_) {
      if (depth_ == most_choices) return 0;
      nodes_[depth_++] = {0, static_cast<std::uint8_t>(options)};
    }
    Node& node = nodes_[position_++];
    // The body behaved differently although all choices were the same. What is found will not replay, and says so.
    if (node.taken >= options) return 0;
    return node.taken;
  }

  bool advance() {
    depth_ = std::min(depth_, position_);
    while (depth_ > 0) {
      Node& last = nodes_[depth_ - 1];
      if (++last.taken < last.options) return true;
      --depth_;
    }
    return false;
  }

  int bound_;
  std::vector<Node> nodes_;
  std::size_t depth_ = 0, position_ = 0;
  int preemptions_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_systematic(int preemption_bound) {
  return std::make_unique<Systematic>(preemption_bound);
}

}  // namespace explorer
