// The interleaving test under the lenses that let threads run as they will.

#include "exercise/interleaving_test.hpp"

namespace interleave {

namespace {
// What AddressSanitizer finds does not hang on the order of threads as often as a race does, and its threads start slowly.
#if __has_feature(address_sanitizer)
constexpr int free_runs = 60;
#else
constexpr int free_runs = 300;
#endif
}

void run_interleavings(const std::function<void()>& body) {
  for (int run = 0; run < free_runs && !::testing::Test::HasFailure(); ++run) body();
}

bool time_is_virtual() { return false; }

}  // namespace interleave
