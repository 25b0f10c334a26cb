#include <sys/eventfd.h>

#include <supervisor.hpp>

#include "exercise/test.hpp"

using interleave::FailingFork;
using interleave::FailureKind;
using interleave::in_parent;
using interleave::Onlooker;
using interleave::Rendezvous;
using interleave::Shared;
using namespace std::chrono_literals;

namespace {

using Work = std::function<int()>;

// Signals to processes that this one had already waited for, or that were never children of it.
int misdirected_signals = 0;

// Where workers are held until the test opens it for as many as it says.
class Gate {
 public:
  Gate() : descriptor_(::eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC)) {}
  ~Gate() { ::close(descriptor_); }
  void wait() const {
    std::uint64_t one;
    while (::read(descriptor_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }
  void open(std::uint64_t count) const { EXPECT_EQ(::write(descriptor_, &count, sizeof(count)), 8); }

 private:
  int descriptor_;
};

// What a process does about signals.
struct SignalSettings {
  sigset_t mask;
  std::array<struct sigaction, 32> actions;

  static SignalSettings now() {
    SignalSettings settings{};
    ::pthread_sigmask(SIG_SETMASK, nullptr, &settings.mask);
    for (int number = 1; number < 32; ++number) {
      ::sigaction(number, nullptr, &settings.actions[static_cast<std::size_t>(number)]);
    }
    return settings;
  }

  // In words; empty if there is none.
  std::string difference_to(const SignalSettings& other) const {
    for (int number = 1; number < 32; ++number) {
      auto index = static_cast<std::size_t>(number);
      std::string name = "SIG" + std::string(::sigabbrev_np(number) ? ::sigabbrev_np(number) : "?");
      if (::sigismember(&mask, number) != ::sigismember(&other.mask, number)) {
        return name + (::sigismember(&mask, number) != 0 ? " is blocked" : " is not blocked");
      }
      if (actions[index].sa_handler != other.actions[index].sa_handler) return name + " has another handler";
    }
    return "";
  }
};

// The caller's own signal settings for one test.
class CallerSettings {
 public:
  CallerSettings() {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR2);
    ::pthread_sigmask(SIG_SETMASK, &blocked, &mask_before_);  // whatever an earlier test left blocked
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGCHLD, &action, &child_before_);
    ::sigaction(SIGUSR1, &action, &user_before_);  // no SA_RESTART: system calls are interrupted by it
  }
  ~CallerSettings() {
    ::sigaction(SIGUSR1, &user_before_, nullptr);
    ::sigaction(SIGCHLD, &child_before_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  }

 private:
  sigset_t mask_before_;
  struct sigaction child_before_, user_before_;
};

// Returns when the child process has ended. Leaves it to be waited for.
void wait_until_ended(pid_t pid) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
}

// Returns when the process sleeps or has ended: whatever was sent to it has reached it. Signals wake at once.
void wait_until_still(pid_t pid) {
  constexpr std::string_view still = "SZX-";
  char state = 'R';
  while (still.find(state) == std::string_view::npos) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);  // leaves nothing when the process goes away in the meantime
    auto close = text.rfind(')');
    state = close == std::string::npos ? '-' : text[close + 2];
    ::sched_yield();
  }
}

bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) != 0 || info.si_pid == pid;
}

// Lets the call go to sleep, and sees that it is a sleep for as long as nothing happens.
Onlooker::What expect_long_sleep(Onlooker& it, const std::string& call) {
  Onlooker::Sight sight = it.wait_until_asleep();
  if (sight.what == Onlooker::busy) {
    it.fail(FailureKind::wrong_answer, call +
                                           " uses the CPU all the time while the workers run; it must sleep until "
                                           "one of them ends");
  }
  // The tests give a grace of an hour, so no wait has a reason to be as short as this.
  if (sight.what == Onlooker::asleep && sight.time_limit && *sight.time_limit < 30min) {
    it.fail(FailureKind::wrong_answer, call +
                                           " sleeps for a short time only, to look again; it must sleep until the "
                                           "end of a worker wakes it");
  }
  return sight.what;
}

std::string in_words(int status) {
  if (WIFEXITED(status)) return "exit status " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status));
}

// An exit handler of the parent, and the count of its runs in whatever process.
std::atomic<int>* exit_handler_calls = nullptr;
void count_exit_handler_call() {
  if (exit_handler_calls != nullptr) ++*exit_handler_calls;
}

// For workers that clean up after SIGTERM, until the test lets them, and then end with status 7.
std::atomic<int>* asked_to_end = nullptr;
const Gate* cleaned_up = nullptr;
void clean_up(int) {
  ++*asked_to_end;
  cleaned_up->wait();
  ::_exit(7);
}

void end_only_by_sigkill() { ::signal(SIGTERM, SIG_IGN); }

[[noreturn]] void run_for_ever() {
  while (true) ::pause();
}

}  // namespace

// Stands before the kill() of the C library in this program.
extern "C" int kill(pid_t pid, int signal) noexcept {
  siginfo_t info{};
  bool waited_for = pid > 0 && ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) != 0;
  if (waited_for || pid == -1) {
    ++misdirected_signals;
    errno = ESRCH;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_kill, pid, signal));
}

TEST(Supervisor, RunsAllWorkersAtTheSameTimeAndSeesEveryEnd) {
  Shared<std::array<std::atomic<pid_t>, 4>> pids;
  Rendezvous all_alive(5, "4 workers alive at the same time, and the constructor done");
  std::vector<Work> workers;
  for (std::size_t i = 0; i < 4; ++i) {
    workers.push_back([&, i] {
      (*pids)[i] = ::getpid();
      all_alive.arrive_and_wait();
      return 0;
    });
  }
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor(workers, 0);
    all_alive.arrive_and_wait();
    for (auto& pid : *pids) wait_until_ended(pid);  // all together: their SIGCHLDs merge
    supervisor.wait_all();
    EXPECT_FALSE(supervisor.wait_any()) << "no worker is running after wait_all()";
    return supervisor.reports();
  });
  ASSERT_EQ(reports.size(), 4u) << "reports for 4 workers";
  for (const WorkerReport& report : reports) {
    EXPECT_EQ(report.state, WorkerState::finished) << "the worker returned 0";
    EXPECT_EQ(report.starts, 1);
    EXPECT_EQ(in_words(report.last_status), "exit status 0");
  }
}

TEST(Supervisor, LeavesAFinishedWorkerAlone) {
  Shared<std::atomic<int>> starts;
  Rendezvous never(2, "a worker that finished is not started again, and not for the 10th time",
                   FailureKind::wrong_answer);
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor({[&] {
                            if (++*starts == 10) never.arrive_and_wait();
                            return 0;
                          }},
                          2);
    supervisor.wait_all();
    return supervisor.reports();
  });
  EXPECT_EQ(*starts, 1) << "starts of a worker that ends with exit status 0";
  EXPECT_EQ(reports.at(0).state, WorkerState::finished);
}

TEST(Supervisor, StartsACrashedWorkerAgainWhileTheOthersRun) {
  Shared<std::array<std::atomic<int>, 2>> starts;
  Rendezvous both(2, "2 workers alive at the same time");
  Rendezvous again(2, "the second worker running again while the first still runs");
  in_parent([&] {
    Supervisor supervisor({[&] {
                             ++(*starts)[0];
                             both.arrive_and_wait();
                             again.arrive_and_wait();
                             return 0;
                           },
                           [&] {
                             if (++(*starts)[1] == 1) return both.arrive_and_wait(), 3;
                             return again.arrive_and_wait(), 0;
                           }},
                          1);
    supervisor.wait_all();
  });
  EXPECT_EQ((*starts)[0], 1) << "starts of the first worker, which did not crash";
}

TEST(Supervisor, StartsACrashedWorkerAgain) {
  Shared<std::array<std::atomic<int>, 3>> starts;
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor({[&] { return ++(*starts)[0] == 1 ? 3 : 0; },
                           [&] {
                             if (++(*starts)[1] == 1) ::raise(SIGKILL);
                             return 0;
                           },
                           [&]() -> int {
                             if (++(*starts)[2] == 1) throw std::runtime_error("the worker has a bad day");
                             return 0;
                           }},
                          3);
    supervisor.wait_all();
    return supervisor.reports();
  });
  const char* crashes[] = {"returned 3", "was killed by a signal", "threw an exception"};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*starts)[i], 2) << "starts of the worker that " << crashes[i]
                               << " the first time and returned 0 the second";
    EXPECT_EQ(reports.at(i).state, WorkerState::finished) << "the second time, all was well";
    EXPECT_EQ(reports.at(i).starts, 2) << "reported starts of the worker that " << crashes[i];
    EXPECT_EQ(reports.at(i).last_status, 0) << "the status of the last end: " << in_words(reports.at(i).last_status);
  }
}

TEST(Supervisor, GivesUpAWorkerThatCrashesTooOften) {
  Shared<std::array<std::atomic<int>, 2>> starts;
  // A supervisor that knows no limit ends all the same: with the 20th start the worker is content.
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor({[&] { return ++(*starts)[0] == 20 ? 0 : 5; },
                           [&]() -> int {
                             if (++(*starts)[1] == 20) return 0;
                             throw std::runtime_error("the worker never has a good day");
                           },
                           [] { return 0; }},
                          2);
    supervisor.wait_all();
    return supervisor.reports();
  });
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*starts)[i], 3) << "starts of worker " << i
                               << ", which always crashes: once, and then 2 restarts for each worker";
    EXPECT_EQ(reports.at(i).starts, 3);
    EXPECT_EQ(reports.at(i).state, WorkerState::gave_up);
  }
  EXPECT_EQ(in_words(reports.at(0).last_status), "exit status 5") << "the worker returned 5";
  EXPECT_EQ(in_words(reports.at(1).last_status), "exit status 1") << "the worker threw";
  EXPECT_EQ(reports.at(2).state, WorkerState::finished) << "the third worker returned 0";
}

TEST(Supervisor, DoesNotRunTheParentsExitHandlersInAWorker) {
  static Shared<std::atomic<int>> calls;
  *calls = 0;
  exit_handler_calls = &*calls;
  static bool registered = std::atexit(count_exit_handler_call) == 0;
  ASSERT_TRUE(registered);
  in_parent([&] {
    Supervisor supervisor({[] { return 0; }, [] { return 3; }}, 0);
    supervisor.wait_all();
  });
  exit_handler_calls = nullptr;
  EXPECT_EQ(*calls, 0) << "exit handlers of the parent that ran in a worker; a worker must end without them";
}

TEST(Supervisor, StartsAWorkerWithTheSignalSettingsOfTheCaller) {
  struct Seen {
    std::atomic<int> starts;
    std::array<std::array<char, 80>, 2> difference;
  };
  Shared<Seen> seen;
  CallerSettings settings;
  SignalSettings caller = SignalSettings::now();
  in_parent([&] {
    Supervisor supervisor({[&] {
                            int start = seen->starts++;
                            auto& text = seen->difference.at(static_cast<std::size_t>(start));
                            std::string difference = SignalSettings::now().difference_to(caller);
                            difference.copy(text.data(), text.size() - 1);
                            return start == 0 ? 3 : 0;
                          }},
                          1);
    supervisor.wait_all();
  });
  for (int start : {0, 1}) {
    EXPECT_STREQ(seen->difference.at(static_cast<std::size_t>(start)).data(), "")
        << "in the worker, at its " << (start == 0 ? "first" : "second") << " start; a process made by fork() inherits "
        << "what its parent has blocked and handles at that moment";
  }
}

TEST(Supervisor, GivesTheCallerItsSignalSettingsBack) {
  CallerSettings settings;
  SignalSettings before = SignalSettings::now();
  in_parent([&] {
    Supervisor supervisor({[] { return 0; }}, 0);
    supervisor.wait_all();
    supervisor.stop(1h);
  });
  EXPECT_EQ(SignalSettings::now().difference_to(before), "") << "in the caller, after the supervisor is destroyed";
}

TEST(Supervisor, SleepsUntilAWorkerEnds) {
  Gate gate;
  in_parent([&] {
    Supervisor supervisor({[&] { return gate.wait(), 0; }}, 0);
    Onlooker onlooker([&](Onlooker& it) {
      expect_long_sleep(it, "wait_all()");
      gate.open(1);
    });
    supervisor.wait_all();
    onlooker.call_is_over();
  });
}

TEST(Supervisor, IsNotDisturbedByASignalThatTheCallerHandles) {
  Gate gate;
  CallerSettings settings;
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor({[&] { return gate.wait(), 0; }}, 0);
    pthread_t caller = ::pthread_self();
    Onlooker onlooker([&](Onlooker& it) {
      if (it.wait_until_asleep().what == Onlooker::asleep) {
        ::pthread_kill(caller, SIGUSR1);
        it.wait_until_asleep();
      }
      gate.open(1);
    });
    supervisor.wait_all();
    onlooker.call_is_over();
    return supervisor.reports();
  });
  EXPECT_EQ(reports.at(0).state, WorkerState::finished)
      << "a signal came while wait_all() waited for the worker; it must "
         "wait on";
}

TEST(Supervisor, EndsItsWorkersWhenItIsDestroyed) {
  // That nothing is left is found after the test.
  Rendezvous ready(3, "2 workers alive at the same time");
  in_parent([&] {
    Supervisor supervisor(std::vector<Work>(2,
                                            [&]() -> int {
                                              end_only_by_sigkill();
                                              ready.arrive_and_wait();
                                              run_for_ever();
                                            }),
                          0);
    ready.arrive_and_wait();
  });
}

TEST(Supervisor, EndsTheRunningWorkersWhenOneCannotBeStarted) {
  FailingFork third_fork_fails(2);
  try {
    in_parent([&] { Supervisor supervisor(std::vector<Work>(4, []() -> int { run_for_ever(); }), 0); });
    ADD_FAILURE() << "the third fork() failed with EAGAIN, so the constructor must throw std::system_error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the code of the exception is the error of fork()";
  }
}

TEST(Supervisor, StopLetsAllWorkersEndByThemselvesAndReturnsWithTheLast) {
  constexpr std::size_t count = 3;
  Shared<std::atomic<int>> asked;
  Shared<std::array<std::atomic<pid_t>, count>> pids;
  Gate gate;
  asked_to_end = &*asked;
  cleaned_up = &gate;
  Rendezvous ready(count + 1, "3 workers alive at the same time");
  std::vector<Work> workers;
  for (std::size_t i = 0; i < count; ++i) {
    workers.push_back([&, i]() -> int {
      ::signal(SIGTERM, clean_up);
      (*pids)[i] = ::getpid();
      ready.arrive_and_wait();
      run_for_ever();
    });
  }
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor(workers, 0);
    ready.arrive_and_wait();
    Onlooker onlooker([&](Onlooker& it) {
      if (expect_long_sleep(it, "stop()") == Onlooker::over) return;
      // stop() sleeps: what it had to send to the workers, it has sent.
      for (auto& pid : *pids) {
        wait_until_still(pid);
        if (has_ended(pid))
          it.fail(FailureKind::wrong_answer,
                  "a worker was cleaning up after SIGTERM, and stop() ended "
                  "it long before its grace of an hour was over");
      }
      if (*asked < static_cast<int>(count)) {
        it.fail(FailureKind::over_synchronised,
                "stop() waits for a worker to end before it has sent SIGTERM to all of "
                "them: they must all clean up at the same time");
      }
      gate.open(count);
      for (auto& pid : *pids) wait_until_ended(pid);
      Onlooker::Sight sight = it.wait_until_asleep();
      if (sight.what == Onlooker::asleep && sight.time_limit) {
        it.fail(FailureKind::wrong_answer,
                "all workers have ended, and stop() sleeps on; it must return as soon as the "
                "last worker has ended");
      }
    });
    supervisor.stop(1h);
    onlooker.call_is_over();
    return supervisor.reports();
  });
  for (const WorkerReport& report : reports) {
    EXPECT_EQ(report.state, WorkerState::stopped);
    EXPECT_TRUE(WIFEXITED(report.last_status) && WEXITSTATUS(report.last_status) == 7)
        << "the worker ends by itself after SIGTERM, with status 7, and it has an hour for that; reported is "
        << in_words(report.last_status);
  }
}

TEST(Supervisor, StopDoesNotStartAWorkerAgain) {
  Shared<std::array<std::atomic<int>, 2>> starts;
  Shared<std::atomic<pid_t>> crashing;
  Rendezvous ready(3, "2 workers alive at the same time");
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor({[&] {
                             if (++(*starts)[0] > 1) return 0;
                             ready.arrive_and_wait();
                             run_for_ever();
                           },
                           [&] {
                             if (++(*starts)[1] > 1) return 0;
                             *crashing = ::getpid();
                             ready.arrive_and_wait();
                             return 3;
                           }},
                          5);
    ready.arrive_and_wait();
    wait_until_ended(*crashing);
    supervisor.stop(1h);
    return supervisor.reports();
  });
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(reports.at(i).state, WorkerState::stopped) << "worker " << i;
    EXPECT_EQ((*starts)[i], 1) << "starts of worker " << i << ", which stop() must not start again";
  }
  EXPECT_EQ(in_words(reports.at(0).last_status), "signal 15") << "the worker that SIGTERM ended";
  EXPECT_EQ(in_words(reports.at(1).last_status), "exit status 3") << "the worker that had crashed before stop()";
}

TEST(Supervisor, StopKillsAWorkerThatIgnoresSigterm) {
  Rendezvous ready(2, "the worker alive");
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor({[&]() -> int {
                            end_only_by_sigkill();
                            ready.arrive_and_wait();
                            run_for_ever();
                          }},
                          0);
    ready.arrive_and_wait();
    supervisor.stop(1ms);
    return supervisor.reports();
  });
  EXPECT_EQ(reports.at(0).state, WorkerState::stopped);
  EXPECT_EQ(in_words(reports.at(0).last_status), "signal 9") << "the worker ignores SIGTERM, so SIGKILL must end it";
}

TEST(Supervisor, SendsNoSignalToAProcessThatHasBeenWaitedFor) {
  Shared<std::atomic<pid_t>> crashing;
  Gate gate;
  Rendezvous ready(2, "the workers alive");
  misdirected_signals = 0;
  std::vector<WorkerReport> reports = in_parent([&] {
    Supervisor supervisor({[] { return 0; },
                           [&] {
                             *crashing = ::getpid();
                             gate.wait();
                             return 3;
                           },
                           [&]() -> int {
                             end_only_by_sigkill();
                             ready.arrive_and_wait();
                             run_for_ever();
                           }},
                          0);
    EXPECT_TRUE(supervisor.wait_any()) << "the first worker has ended, two are running";
    EXPECT_EQ(supervisor.reports().at(0).state, WorkerState::finished) << "the only one that can have ended";
    EXPECT_EQ(supervisor.reports().at(1).state, WorkerState::running);
    ready.arrive_and_wait();
    gate.open(1);
    while (*crashing == 0) ::sched_yield();
    wait_until_ended(*crashing);
    supervisor.stop(1ms);
    return supervisor.reports();
  });
  EXPECT_EQ(misdirected_signals, 0)
      << "signals that were sent to processes that had already been waited for: the kernel "
         "may have given their ids to others by then";
  EXPECT_EQ(reports.at(0).state, WorkerState::finished) << "the first worker had finished before stop() was called";
}
