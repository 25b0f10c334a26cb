// The interleaving test under the lenses that let threads run as they will.

#include "exercise/interleaving_test.hpp"

namespace interleave {

namespace {
constexpr int free_runs = 300;
}

void run_interleavings(const std::function<void()>& body) {
  for (int run = 0; run < free_runs && !::testing::Test::HasFailure(); ++run) body();
}

bool time_is_virtual() { return false; }

}  // namespace interleave
