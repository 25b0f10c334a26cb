#include "exercise/not_done.hpp"

#include <stdexcept>
#include <string>

#include "exercise/session.hpp"

namespace interleave {

void not_done(std::source_location here) {
  std::string message = std::string("not done yet: write ") + here.function_name();
  auto line = static_cast<int>(here.line());
  // In a schedule of the explorer, too, this is not the thread that runs the tests.
  if (!session::in_test_thread()) {
    session::fail_and_exit(FailureKind::not_done, here.file_name(), line, message);
  }
  // Sent here and not where it is caught: whatever the test makes of the exception, it has failed.
  session::send_failure(FailureKind::not_done, here.file_name(), line, message);
  throw std::logic_error(message + " at " + here.file_name() + ":" + std::to_string(line));
}

}  // namespace interleave
