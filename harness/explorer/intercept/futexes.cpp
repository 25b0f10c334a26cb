// syscall(SYS_futex): std::atomic's wait and notify, std::future, std::latch and the rest of what libstdc++ builds on
// it.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/clocks.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/real.hpp"

using namespace explorer;

namespace {

long fail_with(int error) {
  errno = error;
  return -1;
}

long futex_wait_on(int* word, int expected, std::int64_t deadline) {
  engine.point({OperationKind::futex_wait, true, word});
  {
    Unobserved unobserved;
    if (*word != expected) return fail_with(EAGAIN);
    engine.note_value(static_cast<std::uint64_t>(expected), sizeof(expected));
  }
  return engine.wait(engine.object(word), WaitReason::futex, deadline) ? 0 : fail_with(ETIMEDOUT);
}

long futex(int* word, int operation, long value, const timespec* time) {
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT: {
      constexpr time_t too_long = 1'000'000'000;  // 31 years: as good as no time limit
      std::int64_t deadline = never;
      if (time != nullptr && time->tv_sec < too_long)
        deadline = engine.now() + time->tv_sec * 1'000'000'000 + time->tv_nsec;
      return futex_wait_on(word, static_cast<int>(value), deadline);
    }
    case FUTEX_WAIT_BITSET:
      return futex_wait_on(word, static_cast<int>(value), time != nullptr ? virtual_time(*time) : never);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET: {
      engine.point({OperationKind::futex_wake, true, word});
      Unobserved unobserved;
      int n = value > max_threads || value < 0 ? max_threads : static_cast<int>(value);
      int woken = engine.notify(engine.object(word), n);
      engine.note_value(static_cast<std::uint64_t>(woken));
      return woken;
    }
    default: {
      char message[100];
      std::snprintf(message, sizeof(message), "the explorer does not model futex operation %d (futex(2))", operation);
      engine.fail(Failure::unsupported, message);
    }
  }
}

// What gettid() gives in a schedule, whose threads take turns on one of the kernel's: a number of its own for each. The
// first has the process's, as in Linux.
pid_t thread_id() { return ::getpid() + engine.current().id; }

}  // namespace

EXPLORER_INTERCEPTED pid_t gettid() noexcept {
  return active ? thread_id() : static_cast<pid_t>(real_syscall(SYS_gettid));
}

EXPLORER_INTERCEPTED long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (active && number == SYS_futex)
    return futex(reinterpret_cast<int*>(arguments[0]), static_cast<int>(arguments[1]), arguments[2],
                 reinterpret_cast<const timespec*>(arguments[3]));
  if (active && number == SYS_gettid) return thread_id();
  long result =
      real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  if (result < 0 && result > -4096) return fail_with(static_cast<int>(-result));
  return result;
}
