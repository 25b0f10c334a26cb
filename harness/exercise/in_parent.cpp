#include "exercise/in_parent.hpp"

#include <string>

#include "exercise/session.hpp"

namespace interleave {

void stop_stray_child(std::source_location where, const char* why) {
  if (session::in_test_process()) return;
  session::fail_and_exit(FailureKind::wrong_answer, where.file_name(), static_cast<int>(where.line()),
                         std::string("a child process came back into the test ") + why +
                             ": after fork() the child runs the same code as its parent, so it must end inside your "
                             "function, with _exit(), whatever happens there");
}

}  // namespace interleave
