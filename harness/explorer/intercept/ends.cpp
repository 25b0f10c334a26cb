// Ways out of a schedule that are not a return, and calls that the explorer does not model. All end the schedule with a
// verdict: never a hang, never "passed".

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/ends.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/intercept/real.hpp"

namespace explorer {

namespace {

[[noreturn]] void fail_with(Failure failure, const char* format, const char* argument) {
  char message[512];
  std::snprintf(message, sizeof(message), format, argument);
  engine.fail(failure, message);
}

[[noreturn]] void not_modelled(const char* call) {
  fail_with(Failure::unsupported, "%s is called inside an exploration, which does not model it", call);
}

std::uint64_t steps_at_last_beat = 0;
constexpr int seconds_without_a_step = 3;
int beats_without_a_step = 0;

// A beat for each second of CPU time. A thread that does nothing visible for some of them is in a loop without an end.
void on_beat(int) {
  if (!active) return;  // the engine at work
  std::uint64_t steps = engine.steps();
  if (steps != steps_at_last_beat) {
    steps_at_last_beat = steps;
    beats_without_a_step = 0;
    return;
  }
  if (++beats_without_a_step < seconds_without_a_step) return;
  engine.fail(
      Failure::livelock,
      "a thread runs and does nothing that another thread could see: a loop without an end, perhaps on a variable "
      "that is not atomic");
}

void on_crash(int number) {
  // Outside of a schedule it is a fault of the harness.
  if (!engine.in_schedule()) {
    ::signal(number, SIG_DFL);
    ::raise(number);
    return;
  }
  if (number == SIGSEGV || number == SIGBUS)
    fail_with(Failure::crash,
              "crashed with %s: memory that is not there, a null pointer, or a recursion without an end",
              ::sigdescr_np(number));
  fail_with(Failure::crash, "crashed with %s", ::sigdescr_np(number));
}

[[noreturn]] void on_terminate() {
  if (!active) ::abort();
  if (std::exception_ptr exception = std::current_exception()) {
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& standard) {
      fail_with(Failure::crash, "std::terminate was called: an exception left a thread: %s", standard.what());
    } catch (...) {
      fail_with(Failure::crash, "std::terminate was called: an exception left a thread%s", "");
    }
  }
  fail_with(Failure::crash, "std::terminate was called: %s",
            "a std::thread that is neither joined nor detached was destroyed, or a noexcept function threw");
}

template <typename Function>
Function* next(Function*, const char* name) {
  return reinterpret_cast<Function*>(real_function(name));
}

// Files and devices answer at once; pipes, sockets and terminals may block.
bool may_block(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return false;
  return !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISBLK(status.st_mode) &&
         !(S_ISCHR(status.st_mode) && ::isatty(descriptor) == 0);
}

}  // namespace

void watch_for_ends() {
  static char alternate[64 * 1024];
  stack_t stack{};
  stack.ss_sp = alternate;
  stack.ss_size = sizeof(alternate);
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  action.sa_handler = on_crash;
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) ::sigaction(number, &action, nullptr);
  action.sa_handler = on_beat;
  action.sa_flags = SA_ONSTACK | SA_NODEFER | SA_RESTART;
  ::sigaction(SIGVTALRM, &action, nullptr);
  itimerval second{{1, 0}, {1, 0}};
  auto* set_timer = reinterpret_cast<int (*)(int, const itimerval*, itimerval*)>(real_function("setitimer"));
  set_timer(ITIMER_VIRTUAL, &second, nullptr);
  std::set_terminate(on_terminate);
}

}  // namespace explorer

using namespace explorer;

EXPLORER_INTERCEPTED void exit(int status) {
  if (active) fail_with(Failure::exit, "exit(%s) was called: the tests cannot go on", std::to_string(status).c_str());
  next(&::exit, "exit")(status);
  __builtin_unreachable();
}
EXPLORER_INTERCEPTED void _exit(int status) {
  if (active) fail_with(Failure::exit, "_exit(%s) was called: the tests cannot go on", std::to_string(status).c_str());
  next(&::_exit, "_exit")(status);
  __builtin_unreachable();
}
EXPLORER_INTERCEPTED void quick_exit(int status) noexcept {
  if (active)
    fail_with(Failure::exit, "quick_exit(%s) was called: the tests cannot go on", std::to_string(status).c_str());
  next(&::quick_exit, "quick_exit")(status);
  __builtin_unreachable();
}
EXPLORER_INTERCEPTED void abort() noexcept {
  if (active) engine.fail(Failure::crash, "abort() was called");
  next(&::abort, "abort")();
  __builtin_unreachable();
}
EXPLORER_INTERCEPTED void __assert_fail(const char* expression, const char* file, unsigned line, const char*) noexcept {
  if (active) {
    char message[400];
    std::snprintf(message, sizeof(message), "assert(%s) failed", expression);
    engine.fail(Failure::assertion, message, file, static_cast<int>(line));
  }
  std::fprintf(stderr, "%s:%u: assert(%s) failed\n", file, line, expression);
  ::abort();
}
EXPLORER_INTERCEPTED void pthread_exit(void* result) {
  if (active) not_modelled("pthread_exit()");
  next(&::pthread_exit, "pthread_exit")(result);
  __builtin_unreachable();
}
// libstdc++ keeps these for the end of the thread and does them in code of its own, which is not instrumented: the
// order that they make would not be seen. (std::promise::set_value_at_thread_exit and its like begin with the first.)
EXPLORER_INTERCEPTED void _ZNSt13__future_base13_State_baseV211_Make_ready6_M_setEv(void* self) {
  if (active) not_modelled("set_value_at_thread_exit()");
  using Set = void(void*);
  reinterpret_cast<Set*>(real_function("_ZNSt13__future_base13_State_baseV211_Make_ready6_M_setEv"))(self);
}
EXPLORER_INTERCEPTED void _ZSt25notify_all_at_thread_exitRSt18condition_variableSt11unique_lockISt5mutexE(
    void* condition, void* lock) {
  if (active) not_modelled("std::notify_all_at_thread_exit()");
  using Notify = void(void*, void*);
  reinterpret_cast<Notify*>(real_function(
      "_ZSt25notify_all_at_thread_exitRSt18condition_variableSt11unique_lockISt5mutexE"))(condition, lock);
}
EXPLORER_INTERCEPTED int pthread_cancel(pthread_t thread) {
  if (active) not_modelled("pthread_cancel()");
  return next(&::pthread_cancel, "pthread_cancel")(thread);
}
EXPLORER_INTERCEPTED int pthread_kill(pthread_t thread, int number) noexcept {
  if (active) not_modelled("pthread_kill()");
  return next(&::pthread_kill, "pthread_kill")(thread, number);
}
EXPLORER_INTERCEPTED pid_t fork() noexcept {
  if (active) not_modelled("fork()");
  return next(&::fork, "fork")();
}
EXPLORER_INTERCEPTED int execve(const char* path, char* const arguments[], char* const environment[]) noexcept {
  if (active) not_modelled("execve()");
  return next(&::execve, "execve")(path, arguments, environment);
}
EXPLORER_INTERCEPTED int system(const char* command) {
  if (active) not_modelled("system()");
  return next(&::system, "system")(command);
}
EXPLORER_INTERCEPTED FILE* popen(const char* command, const char* mode) {
  if (active) not_modelled("popen()");
  return next(&::popen, "popen")(command, mode);
}
EXPLORER_INTERCEPTED pid_t waitpid(pid_t process, int* status, int options) {
  if (active) not_modelled("waitpid()");
  return next(&::waitpid, "waitpid")(process, status, options);
}
EXPLORER_INTERCEPTED ssize_t read(int descriptor, void* buffer, std::size_t size) {
  static auto* real_read = next(&::read, "read");
  if (active && may_block(descriptor)) not_modelled("read() of something that can block");
  return real_read(descriptor, buffer, size);
}
EXPLORER_INTERCEPTED int poll(pollfd* descriptors, nfds_t count, int timeout) {
  if (active) not_modelled("poll()");
  return next(&::poll, "poll")(descriptors, count, timeout);
}
EXPLORER_INTERCEPTED int select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* timeout) {
  if (active) not_modelled("select()");
  return next(&::select, "select")(count, read, write, except, timeout);
}
EXPLORER_INTERCEPTED int epoll_wait(int descriptor, epoll_event* events, int count, int timeout) {
  if (active) not_modelled("epoll_wait()");
  return next(&::epoll_wait, "epoll_wait")(descriptor, events, count, timeout);
}
EXPLORER_INTERCEPTED ssize_t recv(int descriptor, void* buffer, std::size_t size, int flags) {
  if (active) not_modelled("recv()");
  return next(&::recv, "recv")(descriptor, buffer, size, flags);
}
EXPLORER_INTERCEPTED int accept(int descriptor, sockaddr* address, socklen_t* size) {
  if (active) not_modelled("accept()");
  return next(&::accept, "accept")(descriptor, address, size);
}
EXPLORER_INTERCEPTED int pause() {
  if (active) not_modelled("pause()");
  return next(&::pause, "pause")();
}
EXPLORER_INTERCEPTED int sigwait(const sigset_t* set, int* number) {
  if (active) not_modelled("sigwait()");
  return next(&::sigwait, "sigwait")(set, number);
}
