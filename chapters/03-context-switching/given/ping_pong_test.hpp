#pragma once

// What the tests of the ping-pongs (3.2, 3.3) know of CPUs, counters and clocks.

#include "exercise/test.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

// After each test its thread may use the CPUs of before, whatever the learner's code has made of them.
class PingPongTest : public testing::Test {
 protected:
  using Cpus = std::set<int>;

  ~PingPongTest() override { allow(allowed); }

  // The CPUs that a thread or the first thread of a process may use; 0 is the calling one.
  static Cpus cpus_of(pid_t thread) {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(thread, sizeof(set), &set);
    Cpus cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.insert(cpu);
    }
    return cpus;
  }

  static bool allow(const Cpus& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu : cpus) CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
  }

  // The context switches of this process so far, of all its threads.
  static long context_switches() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
  }

  static bool kernel_counts_switches() {
    long before = context_switches();
    for (int i = 0; i < 100 && context_switches() == before; ++i) std::thread([] {}).join();
    return context_switches() > before;
  }

  // A clock that does something when it is read for the first and for the second time, and always tells the same time.
  struct Readings {
    std::function<void()> first = [] {}, second = [] {};
    int count = 0;
    std::chrono::nanoseconds operator()() {
      if (++count == 1) first();
      if (count == 2) second();
      return std::chrono::nanoseconds(0);
    }
  };

  // The error with which play() throws std::system_error where sched_setaffinity(2) fails with EPERM; 0 if it throws
  // none, nothing if this machine does not let a thread forbid itself a system call. In a thread of its own, from which
  // there is no way back: the last test of a program.
  template <typename Play>
  static std::optional<int> error_where_affinity_is_refused(Play play) {
    std::optional<int> error;
    std::thread([&] {
      sock_filter program[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      sock_fprog filter{std::size(program), program};
      if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
      if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return;
      error = 0;
      try {
        play();
      } catch (const std::system_error& caught) {
        error = caught.code().value();
      }
    }).join();
    return error;
  }

  const Cpus allowed = cpus_of(0);
};

#define NEEDS_AFFINITY() \
  if (!allow(allowed)) GTEST_SKIP() << "this machine does not let a thread choose its CPUs (sched_setaffinity)"
#define NEEDS_TWO_CPUS() \
  if (allowed.size() < 2) GTEST_SKIP() << "this process may use one CPU only, so no other can be asked for, lost or kept"
#define NEEDS_COUNTERS() \
  if (!kernel_counts_switches()) GTEST_SKIP() << "this kernel does not count context switches (getrusage)"
