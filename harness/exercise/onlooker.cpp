#include "exercise/onlooker.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "exercise/session.hpp"

namespace interleave {

namespace {

namespace fs = std::filesystem;
using std::chrono::nanoseconds;
using TimeLimit = std::optional<nanoseconds>;

// A call that is about to sleep needs less than a thousandth of this, under every lens.
constexpr nanoseconds busy_cpu_time = std::chrono::milliseconds(300);
// A loop around sched_yield(2) gets next to no processor on a machine that has other things to do, but gives it away
// each time; who does not yield has run for longer than busy_cpu_time before it has lost it so often.
constexpr std::uint64_t busy_switches = 2000;

struct SleepingThread {
  std::uint64_t switches = 0;  // unchanged: it has slept all the while
  TimeLimit limit;
};

nanoseconds read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

nanoseconds cpu_time_of_the_others() {
  return read_clock(CLOCK_PROCESS_CPUTIME_ID) - read_clock(CLOCK_THREAD_CPUTIME_ID);
}

// What another thread's system call points to. Through /proc, because that thread may go on and take it away.
template <typename T>
std::optional<T> read_memory(std::uint64_t address) {
  int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  T value{};
  bool complete = memory >= 0 && ::pread(memory, &value, sizeof(value), static_cast<off_t>(address)) == sizeof(value);
  if (memory >= 0) ::close(memory);
  return complete ? std::optional(value) : std::nullopt;
}

nanoseconds length_of(std::uint64_t seconds, std::uint64_t rest) {
  constexpr std::uint64_t most = 1'000'000'000;  // more seconds than anybody waits, and no overflow
  return std::chrono::seconds(std::min(seconds, most)) + nanoseconds(rest);
}

TimeLimit timespec_limit(std::uint64_t address, std::optional<clockid_t> point_in_time_of = std::nullopt) {
  if (address == 0) return std::nullopt;
  auto time = read_memory<timespec>(address);
  if (!time) return std::nullopt;
  nanoseconds length = length_of(static_cast<std::uint64_t>(time->tv_sec), static_cast<std::uint64_t>(time->tv_nsec));
  return point_in_time_of ? length - read_clock(*point_in_time_of) : length;
}

[[maybe_unused]] TimeLimit timeval_limit(std::uint64_t address) {
  if (address == 0) return std::nullopt;
  auto time = read_memory<timeval>(address);
  if (!time) return std::nullopt;
  return length_of(static_cast<std::uint64_t>(time->tv_sec), static_cast<std::uint64_t>(time->tv_usec) * 1000);
}

TimeLimit milliseconds_limit(std::uint64_t argument) {
  auto count = static_cast<int>(argument);
  return count < 0 ? TimeLimit{} : TimeLimit(std::chrono::milliseconds(count));
}

TimeLimit futex_limit(const std::uint64_t (&arguments)[6]) {
  switch (arguments[1] & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
      return timespec_limit(arguments[3]);
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
      return timespec_limit(arguments[3],
                            (arguments[1] & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    default:
      return std::nullopt;
  }
}

struct SystemCall {
  long number = -1;
  std::uint64_t arguments[6] = {};
};

// The system call that a thread is in; nothing if it runs. Only this file knows that: a thread that is about to sleep,
// or only looks whether it should, is in state S before it has left the CPU.
std::optional<SystemCall> system_call_of(const fs::path& task) {
  std::ifstream file(task / "syscall");
  SystemCall call;
  std::string word;
  if (!(file >> word)) return call;  // a kernel that does not tell
  if (word == "running") return std::nullopt;
  call.number = std::atol(word.c_str());
  for (auto& argument : call.arguments) {
    if (file >> word) argument = std::strtoull(word.c_str(), nullptr, 16);
  }
  return call;
}

// The time limit of a system call that sleeps; none for a call that is not known to have one.
TimeLimit time_limit_of(const SystemCall& call) {
  const auto& arguments = call.arguments;
  switch (call.number) {
    case SYS_nanosleep:
      return timespec_limit(arguments[0]);
    case SYS_clock_nanosleep: {
      bool absolute = (arguments[1] & TIMER_ABSTIME) != 0;
      return timespec_limit(arguments[2],
                            absolute ? std::optional(static_cast<clockid_t>(arguments[0])) : std::nullopt);
    }
    case SYS_futex:
      return futex_limit(arguments);
    case SYS_ppoll:
      return timespec_limit(arguments[2]);
    case SYS_pselect6:
      return timespec_limit(arguments[4]);
    case SYS_epoll_pwait:
      return milliseconds_limit(arguments[3]);
    case SYS_rt_sigtimedwait:
      return timespec_limit(arguments[2]);
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
      return timespec_limit(arguments[3]);
#endif
#ifdef SYS_poll
    case SYS_poll:
      return milliseconds_limit(arguments[2]);
    case SYS_select:
      return timeval_limit(arguments[4]);
    case SYS_epoll_wait:
      return milliseconds_limit(arguments[3]);
#endif
    default:
      return std::nullopt;
  }
}

// What /proc/<pid>/task/<tid>/status says of a thread (proc_pid_status(5)).
struct Status {
  char state = '?';
  std::uint64_t voluntary_switches = 0, involuntary_switches = 0;
};

Status status_of(const fs::path& task) {
  std::ifstream file(task / "status");
  std::string label;
  Status status;
  while (file >> label) {
    if (label == "State:") file >> status.state;
    if (label == "voluntary_ctxt_switches:") file >> status.voluntary_switches;
    if (label == "nonvoluntary_ctxt_switches:") file >> status.involuntary_switches;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return status;
}

// The context switches of a thread that is asleep; nothing if it is not.
std::optional<std::uint64_t> switches_if_asleep(const fs::path& task) {
  Status status = status_of(task);
  if (status.state != 'S') return std::nullopt;
  return status.voluntary_switches + status.involuntary_switches;
}

std::set<fs::path> threads_of_the_runtime;

// Every thread but this one, if each of them is asleep.
std::optional<std::map<std::string, SleepingThread>> look() {
  std::map<std::string, SleepingThread> threads;
  std::string self = std::to_string(::gettid());
  std::error_code error;
  for (fs::directory_iterator it("/proc/self/task", error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename() == self || threads_of_the_runtime.contains(it->path())) continue;
    auto switches = switches_if_asleep(it->path());
    auto call = system_call_of(it->path());
    if (!switches || !call) return std::nullopt;
    TimeLimit limit = time_limit_of(*call);
    if (switches_if_asleep(it->path()) != switches) return std::nullopt;
    threads[it->path().filename().string()] = {*switches, limit};
  }
  if (error) return std::nullopt;
  return threads;
}

// How often a thread other than this one has lost the processor while it could still run.
std::uint64_t involuntary_switches_of_the_others() {
  std::uint64_t switches = 0;
  std::string self = std::to_string(::gettid());
  std::error_code error;
  for (fs::directory_iterator it("/proc/self/task", error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename() != self) switches += status_of(it->path()).involuntary_switches;
  }
  return switches;
}

// Each thread slept from its first look to its second, so between the two looks all slept at the same moment.
bool slept_through(const std::map<std::string, SleepingThread>& first,
                   const std::map<std::string, SleepingThread>& second) {
  return std::equal(first.begin(), first.end(), second.begin(), second.end(), [](auto& one, auto& other) {
    return one.first == other.first && one.second.switches == other.second.switches;
  });
}

}  // namespace

Onlooker::Onlooker(std::function<void(Onlooker&)> watch) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, watch = std::move(watch)] { watch(*this); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Onlooker::call_is_over() {
  over_ = true;
  if (thread_.joinable()) thread_.join();
}

Onlooker::Sight Onlooker::wait_until_asleep() {
  nanoseconds start = cpu_time_of_the_others();
  std::uint64_t switches = involuntary_switches_of_the_others();
  while (true) {
    auto first = look();
    auto second = first ? look() : std::nullopt;
    // Asked after the look: then what was seen was not the test's thread after the call.
    if (over_) return {over, std::nullopt};
    if (second && slept_through(*first, *second)) {
      TimeLimit shortest;
      for (auto& [id, thread] : *second) {
        if (thread.limit && (!shortest || *thread.limit < *shortest)) shortest = thread.limit;
      }
      return {asleep, shortest};
    }
    if (cpu_time_of_the_others() - start > busy_cpu_time) return {busy, std::nullopt};
    // Not as a difference, which would wrap around: a thread that has ended meanwhile takes its switches with it.
    if (involuntary_switches_of_the_others() > switches + busy_switches) return {busy, std::nullopt};
    ::sched_yield();
  }
}

void Onlooker::leave_out_threads_of_the_runtime() {
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    if (task.path().filename() != std::to_string(::gettid())) threads_of_the_runtime.insert(task.path());
  }
}

void Onlooker::fail(FailureKind kind, std::string_view message, std::source_location where) {
  session::fail_and_exit(kind, where.file_name(), static_cast<int>(where.line()), std::string(message));
}

}  // namespace interleave
