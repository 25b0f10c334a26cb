#pragma once

// The units of execution that the tests start. Included after <what_is_shared.hpp>, which has Launcher and Sharing.

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace launchers {

/// A stack for a unit to run on. Private, as stacks are: a unit with a copy of the memory has a copy of this as well.
class UnitStack {
 public:
  UnitStack() {
    memory_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap of a stack");
  }
  UnitStack(const UnitStack&) = delete;
  UnitStack& operator=(const UnitStack&) = delete;
  ~UnitStack() { ::munmap(memory_, size); }

  void* top() const { return static_cast<std::byte*>(memory_) + size; }

 private:
  static constexpr std::size_t size = std::size_t{1} << 20;
  void* memory_;
};

/// The unit: nothing of the creator may run in it but the callable, so it ends with the bare system call. (Returning
/// from here, or _exit(2), would end all the threads of the process.)
inline int run_unit(void* callable) noexcept {
  (*static_cast<const std::function<void()>*>(callable))();
  ::syscall(SYS_exit, 0);
  return 0;
}

inline void wait_for_process(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid for the unit");
  }
  if (WIFSIGNALED(status)) {
    throw std::runtime_error(std::string("the unit was ended by a signal: ") + ::strsignal(WTERMSIG(status)));
  }
}

/// Waits until the kernel has cleared `thread` (CLONE_CHILD_CLEARTID), and then until it knows the thread no more: it
/// clears the word before it takes leave of the thread's own descriptors and directory.
inline void wait_for_thread(std::atomic<pid_t>& thread, pid_t id) {
  while (thread.load() != 0) ::syscall(SYS_futex, &thread, FUTEX_WAIT, id, nullptr, nullptr, 0);
  while (::syscall(SYS_tgkill, ::getpid(), id, 0) == 0) ::sched_yield();
}

/// A unit made by clone(2) with these of CLONE_VM, CLONE_FILES, CLONE_FS and CLONE_THREAD.
inline Launcher cloned(int flags) {
  return [flags](const std::function<void()>& callable) {
    UnitStack stack;
    auto* argument = const_cast<std::function<void()>*>(&callable);
    std::atomic<pid_t> thread = 0;
    static_assert(sizeof(thread) == sizeof(pid_t));
    bool is_thread = (flags & CLONE_THREAD) != 0;
    int all_flags = is_thread ? flags | CLONE_SIGHAND | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID : flags | SIGCHLD;
    int id = ::clone(run_unit, stack.top(), all_flags, argument, &thread, nullptr, &thread);
    if (id < 0) throw std::system_error(errno, std::generic_category(), "clone");
    if (is_thread) {
      wait_for_thread(thread, id);
    } else {
      wait_for_process(id);
    }
  };
}

/// What the flags say that is shared: what the tests expect of a unit of cloned(flags).
inline Sharing shared_by(int flags) {
  bool memory = (flags & CLONE_VM) != 0;
  return {memory, memory, memory, (flags & CLONE_FILES) != 0, (flags & CLONE_FS) != 0, (flags & CLONE_THREAD) != 0};
}

inline std::string name_of(int flags) {
  std::string name;
  for (auto [flag, text] : {std::pair{CLONE_VM, "CLONE_VM"},
                            {CLONE_FILES, "CLONE_FILES"},
                            {CLONE_FS, "CLONE_FS"},
                            {CLONE_THREAD, "CLONE_THREAD"}}) {
    if ((flags & flag) != 0) name += (name.empty() ? "" : " | ") + std::string(text);
  }
  return "clone(" + (name.empty() ? "no flags" : name) + ")";
}

inline void forked(const std::function<void()>& callable) {
  pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    [&]() noexcept { callable(); }();
    ::_exit(0);
  }
  wait_for_process(pid);
}

inline void threaded(const std::function<void()>& callable) {
  std::thread([&] { callable(); }).join();
}

/// The smallest unit of execution: a function call, which shares everything.
inline void called(const std::function<void()>& callable) { callable(); }

}  // namespace launchers
