// Selectively uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025). For each schedule one object is of
// interest; the orders of the operations on it are drawn uniformly, which needs an estimate of how many of them each
// thread still has: the average over the schedules so far. Between them the threads run by POS.

#include <array>

#include "explorer/memory/vector_clock.hpp"
#include "explorer/strategies/random_numbers.hpp"
#include "explorer/strategies/strategy.hpp"

namespace explorer {

namespace {

class Surw final : public Strategy {
 public:
  explicit Surw(std::uint64_t seed) : seed_(seed), profiles_(new Profile[most_objects]()) {}

  bool begin(std::uint64_t schedule) override {
    random_.seed(seed_, schedule);
    for (auto& priority : priority_) priority = random_.next() | 1;
    of_interest_ = nullptr;
    intended_ = -1;
    if (interesting_count_ > 0) {
      const Profile& profile = profiles_[interesting_[random_.below(static_cast<std::uint64_t>(interesting_count_))]];
      of_interest_ = profile.object;
      for (int i = 0; i < tracked_threads; ++i) remaining_[i] = static_cast<int>(profile.average[i] + 0.999F);
      draw_intended();
    }
    return true;
  }

  void created(int thread) override { priority_[thread] = random_.next() | 1; }
  void yielded(int thread) override { priority_[thread] = 0; }

  int next_thread(const Candidates& candidates) override {
    // A thread whose next operation is of interest waits until it is the intended one.
    int best = -1;
    for (int i = 0; i < candidates.count; ++i) {
      int thread = candidates.threads[i];
      if (is_of_interest(candidates.pending[thread]) && thread != intended_) continue;
      if (best < 0 || priority_[thread] > priority_[best]) best = thread;
    }
    if (best < 0) {
      // All are of interest, and the intended one is not here: intend one that is.
      int total = 0;
      for (int i = 0; i < candidates.count; ++i) total += weight(candidates.threads[i]);
      int lot = static_cast<int>(random_.below(static_cast<std::uint64_t>(total)));
      for (int i = 0; i < candidates.count; ++i) {
        best = candidates.threads[i];
        if ((lot -= weight(best)) < 0) break;
      }
      intended_ = best;
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

  void took(int thread, const Operation& operation) override {
    priority_[thread] = random_.next() | 1;
    if (operation.object == nullptr || thread >= tracked_threads) return;
    if (operation.object == of_interest_) {
      if (remaining_[thread] > 0) --remaining_[thread];
      if (thread == intended_) draw_intended();
    }
    if (Profile* profile = find(operation.object)) {
      if (profile->schedule != schedules_) {
        profile->schedule = schedules_;
        profile->count.fill(0);
        if (touched_count_ < most_objects) touched_[touched_count_++] = static_cast<int>(profile - profiles_.get());
      }
      ++profile->count[thread];
      profile->written |= operation.writes;
    }
  }

  int next_value(int n, ValueKind kind) override { return draw_value(random_, n, kind); }

  void end(std::uint64_t) override {
    for (int i = 0; i < touched_count_; ++i) {
      Profile& profile = profiles_[touched_[i]];
      int threads = 0;
      for (auto count : profile.count) threads += count > 0;
      profile.shared |= threads > 1;
      float share = profile.samples < 20 ? 1.0F / static_cast<float>(++profile.samples) : 1.0F / 20;
      for (int t = 0; t < tracked_threads; ++t)
        profile.average[t] += (static_cast<float>(profile.count[t]) - profile.average[t]) * share;
      if (!profile.interesting && profile.shared && profile.written) {
        profile.interesting = true;
        interesting_[interesting_count_++] = touched_[i];
      }
    }
    touched_count_ = 0;
    ++schedules_;
  }

 private:
  static constexpr int most_objects = 1024;
  static constexpr int tracked_threads = 16;  // those beyond are of no interest

  struct Profile {
    const volatile void* object = nullptr;
    std::uint64_t schedule = ~std::uint64_t{0};
    std::array<std::uint16_t, tracked_threads> count{};
    std::array<float, tracked_threads> average{};
    int samples = 0;
    bool written = false, shared = false, interesting = false;
  };

  bool is_of_interest(const Operation& operation) const {
    return of_interest_ != nullptr && operation.object == of_interest_;
  }
  int weight(int thread) const { return thread < tracked_threads && remaining_[thread] > 0 ? remaining_[thread] : 1; }

  void draw_intended() {
    int total = 0;
    for (int remaining : remaining_) total += remaining;
    intended_ = -1;
    if (total <= 0) return;
    int lot = static_cast<int>(random_.below(static_cast<std::uint64_t>(total)));
    for (int i = 0; i < tracked_threads; ++i) {
      if ((lot -= remaining_[i]) < 0) {
        intended_ = i;
        return;
      }
    }
  }

  Profile* find(const volatile void* object) {
    auto hash = (reinterpret_cast<std::uintptr_t>(object) >> 2) * 0x9E3779B97F4A7C15ULL >> 40;
    for (int probe = 0; probe < 16; ++probe) {
      Profile& profile = profiles_[(hash + static_cast<std::uint64_t>(probe)) % most_objects];
      if (profile.object == object) return &profile;
      if (profile.object == nullptr) {
        profile.object = object;
        return &profile;
      }
    }
    return nullptr;
  }

  std::uint64_t seed_;
  RandomNumbers random_;
  std::uint64_t priority_[max_threads] = {};
  std::unique_ptr<Profile[]> profiles_;
  int interesting_[most_objects] = {}, interesting_count_ = 0;
  int touched_[most_objects] = {}, touched_count_ = 0;
  std::uint64_t schedules_ = 0;
  const volatile void* of_interest_ = nullptr;
  int remaining_[tracked_threads] = {};
  int intended_ = -1;
};

}  // namespace

std::unique_ptr<Strategy> make_surw(std::uint64_t seed) { return std::make_unique<Surw>(seed); }

}  // namespace explorer
