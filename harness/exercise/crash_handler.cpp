#include "exercise/crash_handler.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "exercise/session.hpp"

namespace interleave {

namespace {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int handled[] = {SIGABRT};
#else
constexpr int handled[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#endif
constexpr int deepest_stack = 64;
constexpr std::size_t signal_stack_size = 256 * 1024;

uintptr_t program_start = 0;
char program_path[4096];

// Writes the record with snprintf alone: the heap may be what is broken.
void on_crash(int number) {
  if (session::in_test_process()) {
    void* addresses[deepest_stack];
    int count = ::backtrace(addresses, deepest_stack);
    char record[8192];
    int used = std::snprintf(record, sizeof(record), R"({"event":"crash","signal":%d,"program":"%s","frames":[)",
                             number, program_path);
    const char* separator = "";
    for (int i = 0; i < count && used < static_cast<int>(sizeof(record)) - 64; ++i) {
      Dl_info info{};
      if (::dladdr(addresses[i], &info) == 0 || reinterpret_cast<uintptr_t>(info.dli_fbase) != program_start) continue;
      // A return address points behind its call.
      uintptr_t offset = reinterpret_cast<uintptr_t>(addresses[i]) - program_start - 1;
      used += std::snprintf(record + used, sizeof(record) - static_cast<std::size_t>(used), "%s%llu", separator,
                            static_cast<unsigned long long>(offset));
      separator = ",";
    }
    std::snprintf(record + used, sizeof(record) - static_cast<std::size_t>(used), "]}");
    session::send_raw(record);
  }
  ::raise(number);  // SA_RESETHAND: this time it ends the process
}

}  // namespace

void report_crashes() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&report_crashes), &info) == 0) return;
  program_start = reinterpret_cast<uintptr_t>(info.dli_fbase);
  ssize_t length = ::readlink("/proc/self/exe", program_path, sizeof(program_path) - 1);
  // A path that needs escaping in JSON is left out; the stack is then shown without lines.
  if (length < 0 || std::strpbrk(program_path, "\"\\") != nullptr) program_path[0] = '\0';
  void* first_call[1];
  ::backtrace(first_call, 1);  // loads the unwinder now and not inside a handler

  // A stack of its own, for a crash by endless recursion.
  void* memory = ::mmap(nullptr, signal_stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) {
    stack_t stack{};
    stack.ss_sp = memory;
    stack.ss_size = signal_stack_size;
    ::sigaltstack(&stack, nullptr);
  }
  for (int number : handled) {
    struct sigaction action {};
    action.sa_handler = on_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER | SA_ONSTACK);
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace interleave
