// Time is virtual: it passes when a thread reads the clock, a little at each step, and at once to the nearest time-out
// when nothing else can happen.

#include "explorer/intercept/clocks.hpp"

#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/real.hpp"

namespace explorer {

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t too_far = std::int64_t{1} << 60;  // 36 years

std::int64_t duration_of(const timespec& time) {
  if (time.tv_sec > too_far / second) return too_far;
  return time.tv_sec * second + time.tv_nsec;
}

}  // namespace

std::int64_t virtual_time(const timespec& time) {
  if (time.tv_sec > (too_far + virtual_epoch) / second) return never;
  return time.tv_sec * second + time.tv_nsec - virtual_epoch;
}

}  // namespace explorer

using namespace explorer;

EXPLORER_INTERCEPTED int clock_gettime(clockid_t clock, timespec* time) noexcept {
  // The time that a thread or process has used is none of the schedule's.
  if (!active || clock == CLOCK_THREAD_CPUTIME_ID || clock == CLOCK_PROCESS_CPUTIME_ID)
    return real().clock_gettime(clock, time);
  Unobserved unobserved;
  std::int64_t now = virtual_epoch + engine.read_clock();
  time->tv_sec = now / second;
  time->tv_nsec = now % second;
  return 0;
}

EXPLORER_INTERCEPTED int gettimeofday(timeval* time, void* zone) noexcept {
  (void)zone;
  timespec now{};
  int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}

EXPLORER_INTERCEPTED time_t time(time_t* result) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

EXPLORER_INTERCEPTED int nanosleep(const timespec* duration, timespec* remaining) {
  if (!active) return real().nanosleep(duration, remaining);
  engine.sleep_until(engine.now() + duration_of(*duration));
  return 0;
}

EXPLORER_INTERCEPTED int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* remaining) {
  if (!active) return real().clock_nanosleep(clock, flags, time, remaining);
  engine.sleep_until((flags & TIMER_ABSTIME) != 0 ? virtual_time(*time) : engine.now() + duration_of(*time));
  return 0;
}

EXPLORER_INTERCEPTED int usleep(useconds_t microseconds) {
  timespec duration{microseconds / 1'000'000, static_cast<long>(microseconds % 1'000'000) * 1000};
  return nanosleep(&duration, nullptr);
}

EXPLORER_INTERCEPTED unsigned sleep(unsigned seconds) {
  timespec duration{static_cast<time_t>(seconds), 0};
  return nanosleep(&duration, nullptr) == 0 ? 0 : seconds;
}

EXPLORER_INTERCEPTED int sched_yield() noexcept {
  if (!active) return real().sched_yield();
  engine.yield();
  return 0;
}
