#include "exercise/death_at_each_step.hpp"

#include <elf.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include "exercise/failure_kind.hpp"
#include "exercise/sanitizer.hpp"
#include "exercise/session.hpp"

namespace interleave {

namespace {

constexpr int exit_status_of_an_exception = 87;
constexpr int exit_status_of_not_done = 86;  // session::fail_and_exit(): it has told the supervisor why

#if defined(__x86_64__)
std::uint64_t program_counter(const user_regs_struct& registers) { return registers.rip; }
constexpr std::array<unsigned char, 2> system_call_instruction = {0x0f, 0x05};
#elif defined(__aarch64__)
std::uint64_t program_counter(const user_regs_struct& registers) { return registers.pc; }
constexpr std::array<unsigned char, 4> system_call_instruction = {0x01, 0x00, 0x00, 0xd4};  // svc #0
#endif

// A child process that stands still before its body and goes on as it is told.
class TracedChild {
 public:
  explicit TracedChild(const std::function<void()>& body) : pid_(::fork()) {
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ == 0) {
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(errno);
      // Not raise(), which may make more system calls after this one.
      ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGSTOP);
      try {
        body();
      } catch (...) {
        ::_exit(exit_status_of_an_exception);
      }
      ::_exit(0);
    }
    wait();
    if (stands()) {
      // Should this process be killed, its child goes with it.
      ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    }
  }
  TracedChild(const TracedChild&) = delete;
  TracedChild& operator=(const TracedChild&) = delete;
  ~TracedChild() { kill(); }

  pid_t pid() const { return pid_; }
  bool stands() const { return WIFSTOPPED(status_); }
  int status() const { return status_; }

  void kill() {
    if (!stands()) return;
    ::kill(pid_, SIGKILL);
    while (stands()) wait();  // there may be a stop on the way
  }

  // Goes on for one instruction, or to the next entry into or return from a system call. False: it has ended.
  bool step() { return go(PTRACE_SINGLESTEP); }
  bool go_to_system_call() { return go(PTRACE_SYSCALL); }
  bool at_system_call() const { return stands() && WSTOPSIG(status_) == (SIGTRAP | 0x80); }

  // Whether it is about to make a system call.
  bool before_system_call() const {
    user_regs_struct registers{};
    iovec registers_read{&registers, sizeof(registers)};
    if (::ptrace(PTRACE_GETREGSET, pid_, NT_PRSTATUS, &registers_read) != 0) fail("PTRACE_GETREGSET");
    std::remove_const_t<decltype(system_call_instruction)> instruction{};
    iovec here{instruction.data(), instruction.size()};
    iovec there{reinterpret_cast<void*>(program_counter(registers)), instruction.size()};
    return ::process_vm_readv(pid_, &here, 1, &there, 1, 0) == static_cast<ssize_t>(instruction.size()) &&
           instruction == system_call_instruction;
  }

 private:
  [[noreturn]] static void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

  void wait() {
    while (::waitpid(pid_, &status_, 0) < 0) {
      if (errno != EINTR) fail("waitpid of a traced child");
    }
  }

  bool go(__ptrace_request request) {
    // A signal that it was stopped for is its own; the traps are ours.
    int signal = WSTOPSIG(status_);
    if (signal == SIGSTOP || signal == SIGTRAP || at_system_call()) signal = 0;
    if (::ptrace(request, pid_, nullptr, signal) != 0) fail("ptrace");
    wait();
    return stands();
  }

  pid_t pid_;
  int status_ = 0;
};

// What the kernel will do about the locks of a dead thread: the beginning of the list, and the lock that it was about
// to take or give back. It lies in the thread's own memory, so no look at shared memory shows it.
class RobustList {
 public:
  explicit RobustList(pid_t pid) : pid_(pid) {
    std::size_t size = 0;
    if (::syscall(SYS_get_robust_list, pid, &address_, &size) != 0) address_ = nullptr;
  }
  robust_list_head now() const {
    robust_list_head head{};
    iovec here{&head, sizeof(head)}, there{address_, sizeof(head)};
    if (address_ != nullptr) ::process_vm_readv(pid_, &here, 1, &there, 1, 0);
    return head;
  }

 private:
  pid_t pid_;
  robust_list_head* address_ = nullptr;
};

bool same(const robust_list_head& one, const robust_list_head& other) {
  return one.list.next == other.list.next && one.list_op_pending == other.list_op_pending;
}

// Goes to the step that others notice, the `count`th from here. False: it has ended before.
bool go_to_step(TracedChild& child, std::span<const std::byte> shared, int count) {
  if (under_sanitizer) {
    while (count > 0 && child.go_to_system_call()) count -= child.at_system_call();
    return child.stands();
  }
  RobustList robust_list(child.pid());
  std::vector<std::byte> bytes(shared.begin(), shared.end());
  robust_list_head head = robust_list.now();
  while (count > 0) {
    bool noticed = child.before_system_call();
    if (!child.step()) return false;
    if (std::memcmp(shared.data(), bytes.data(), bytes.size()) != 0) {
      bytes.assign(shared.begin(), shared.end());
      noticed = true;
    }
    robust_list_head head_now = robust_list.now();
    noticed |= !same(head, head_now);
    head = head_now;
    count -= noticed;
  }
  return true;
}

// Why a child that came to its end did not do so in the right way; nothing if it did.
std::optional<std::string> what_is_wrong_with(int status) {
  if (WIFSIGNALED(status)) return std::string("a signal ended it: ") + ::strsignal(WTERMSIG(status));
  if (WEXITSTATUS(status) == exit_status_of_an_exception) return "an exception left it";
  if (WEXITSTATUS(status) == exit_status_of_not_done) return "it gave up";
  if (WEXITSTATUS(status) != 0) return "it exited with status " + std::to_string(WEXITSTATUS(status));
  return std::nullopt;
}

bool ended_well(const TracedChild& child, std::source_location where) {
  auto wrong = what_is_wrong_with(child.status());
  if (wrong) {
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
        << FailureKind::crash << "the process that ran this step by step did not come to its end: " << *wrong;
  }
  return !wrong;
}

}  // namespace

std::string why_no_steps() {
#if defined(__aarch64__)
  // Each step would end the reservation of a load-exclusive, and the loop around it would never end.
  if ((::getauxval(AT_HWCAP) & HWCAP_ATOMICS) == 0) return "this processor has no atomic instructions of one step";
#endif
  TracedChild child([] {});
  if (child.stands()) return "";
  return std::string("no process may be traced here: ") + std::strerror(WEXITSTATUS(child.status()));
}

int die_at_each_step(std::span<const std::byte> shared, const std::function<void()>& prepare,
                     const std::function<void()>& body, const std::function<void(bool finished)>& check,
                     std::source_location where) {
  for (int deaths = 0;; ++deaths) {
    prepare();
    bool finished = false;
    {
      TracedChild child(body);
      finished = !go_to_step(child, shared, deaths);
      if (finished && !ended_well(child, where)) return deaths;
      child.kill();
    }
    // Step by step even a right solution may take its time: the watchdog is for each death, not for all together.
    session::send_raw(R"({"event":"died"})");
    check(finished);
    if (finished || ::testing::Test::HasFailure()) return deaths;
  }
}

int system_calls_of(const std::function<void()>& body, std::source_location where) {
  TracedChild child(body);
  int stops = 0;
  while (child.go_to_system_call()) stops += child.at_system_call();
  ended_well(child, where);
  // Two stops for each call, at its beginning and at its end, and one for the call that ends the process.
  return (stops - 1) / 2;
}

}  // namespace interleave
