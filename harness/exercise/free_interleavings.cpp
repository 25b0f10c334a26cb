// The interleaving test under the lenses that let threads run as they will.

#include "exercise/interleaving_test.hpp"

namespace interleave {

namespace {
// Threads start slowly under the sanitizers. What AddressSanitizer finds does not hang on the order of threads as often as
// a race does, and a race that ThreadSanitizer sees only in some orders is for the lens `explore`.
#if __has_feature(address_sanitizer)
constexpr int free_runs = 60;
#elif __has_feature(thread_sanitizer)
constexpr int free_runs = 100;
#else
constexpr int free_runs = 300;
#endif
}

void run_interleavings(const std::function<void()>& body) {
  for (int run = 0; run < free_runs && !::testing::Test::HasFailure(); ++run) body();
}

bool time_is_virtual() { return false; }

}  // namespace interleave
