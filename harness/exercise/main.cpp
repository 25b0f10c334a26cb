// The main function of every test program.

#include <gtest/gtest.h>

#include <thread>

#include "exercise/crash_handler.hpp"
#include "exercise/onlooker.hpp"
#include "exercise/reporter.hpp"
#include "exercise/session.hpp"

// Before whatever the graded file may do at its start: it must not find the results channel unattached.
[[gnu::constructor(101)]] static void begin_session() { interleave::session::begin(); }

int main(int argc, char** argv) {
#if __has_feature(thread_sanitizer)
  // ThreadSanitizer starts a thread of its own with the first one of the program; that must be here before any test.
  std::thread([] {}).join();
#endif
  interleave::Onlooker::leave_out_threads_of_the_runtime();
  if (interleave::session::supervised()) interleave::report_crashes();
  ::testing::InitGoogleTest(&argc, argv);
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  if (interleave::session::supervised()) delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new interleave::Reporter);
  return RUN_ALL_TESTS();
}
