// Interval timers cannot be seen from outside a process, and the supervisor must not take a tree for deadlocked that a
// timer is going to wake. Test programs are linked with --wrap for these calls, so that it hears of the first use.

#include <sys/time.h>
#include <unistd.h>

#include <atomic>

#include "exercise/session.hpp"

namespace {

void tell_once() {
  static std::atomic<bool> told = false;
  if (!told.exchange(true)) interleave::session::send_raw(R"({"event":"timer used"})");
}

}  // namespace

extern "C" {

unsigned __real_alarm(unsigned seconds);
unsigned __wrap_alarm(unsigned seconds) {
  tell_once();
  return __real_alarm(seconds);
}

useconds_t __real_ualarm(useconds_t first, useconds_t interval);
useconds_t __wrap_ualarm(useconds_t first, useconds_t interval) {
  tell_once();
  return __real_ualarm(first, interval);
}

int __real_setitimer(int which, const itimerval* value, itimerval* old);
int __wrap_setitimer(int which, const itimerval* value, itimerval* old) {
  tell_once();
  return __real_setitimer(which, value, old);
}
}
