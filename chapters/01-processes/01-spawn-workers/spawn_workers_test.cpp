#include "exercise/test.hpp"

#include <spawn_workers.hpp>

using interleave::FailureKind;
using interleave::in_parent;
using interleave::Rendezvous;
using interleave::Shared;

namespace {

constexpr int workers = 4;

void do_nothing(int) {}

// Counts the calls of an exit handler in whatever process it runs.
std::atomic<int>* exit_handler_calls = nullptr;
void count_exit_handler_call() {
  if (exit_handler_calls != nullptr) ++*exit_handler_calls;
}

}  // namespace

TEST(SpawnWorkers, LeavesNoWorkerBehind) {
  // What is left after a test is found after every test; this one does nothing else, so that it is found here.
  in_parent([&] { return spawn_workers(workers, do_nothing); });
}

TEST(SpawnWorkers, RunsTheWorkOnceForEachIndex) {
  Shared<std::array<std::atomic<int>, workers>> calls;
  in_parent([&] { return spawn_workers(workers, [&](int index) { ++calls->at(static_cast<std::size_t>(index)); }); });
  for (int i = 0; i < workers; ++i) {
    EXPECT_EQ((*calls)[static_cast<std::size_t>(i)], 1) << "calls of work(" << i << ") in all processes together";
  }
}

TEST(SpawnWorkers, KeepsAllWorkersAliveAtTheSameTime) {
  Rendezvous all_alive(workers, "4 workers alive at the same time");
  in_parent([&] { return spawn_workers(workers, [&](int) { all_alive.arrive_and_wait(); }); });
}

TEST(SpawnWorkers, ReportsTheIndexThePidAndTheParentOfEachWorker) {
  Shared<std::array<std::atomic<pid_t>, workers>> seen_by_worker;
  std::vector<WorkerReport> reports = in_parent([&] {
    return spawn_workers(workers, [&](int index) { (*seen_by_worker)[static_cast<std::size_t>(index)] = getpid(); });
  });
  ASSERT_EQ(reports.size(), static_cast<std::size_t>(workers)) << "reports for 4 workers";
  for (int i = 0; i < workers; ++i) {
    const WorkerReport& report = reports[static_cast<std::size_t>(i)];
    EXPECT_EQ(report.index, i) << "reports are in order of index";
    EXPECT_EQ(report.pid, (*seen_by_worker)[static_cast<std::size_t>(i)]) << "what getpid() said inside work(" << i << ")";
    EXPECT_NE(report.pid, getpid()) << "worker " << i << " must be a process of its own";
    EXPECT_EQ(report.parent_pid, getpid()) << "worker " << i << " must be a child of the process that called you";
    EXPECT_TRUE(report.succeeded) << "work(" << i << ") returned";
  }
}

TEST(SpawnWorkers, DoesNotRunTheParentsExitHandlersInAWorker) {
  static Shared<std::atomic<int>> calls;
  *calls = 0;
  exit_handler_calls = &*calls;
  static bool registered = std::atexit(count_exit_handler_call) == 0;
  ASSERT_TRUE(registered);
  in_parent([&] { return spawn_workers(workers, do_nothing); });
  exit_handler_calls = nullptr;
  EXPECT_EQ(*calls, 0) << "exit handlers of the parent that ran in a worker; a worker must end without them";
}

TEST(SpawnWorkers, DoesNotWriteTheParentsBufferedOutputAgain) {
  int descriptor = memfd_create("output", MFD_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  FILE* output = fdopen(descriptor, "w");
  std::fputs("once\n", output);  // stays in the buffer of `output`, and so in the copy that each worker has of it
  in_parent([&] { return spawn_workers(workers, do_nothing); });
  std::fflush(output);
  struct stat status {};
  fstat(descriptor, &status);
  std::fclose(output);
  EXPECT_EQ(status.st_size, 5) << "bytes written: the line 'once' that the parent had buffered must be written by the "
                                  "parent alone";
}

TEST(SpawnWorkers, KeepsAnExceptionInsideTheWorker) {
  std::vector<WorkerReport> reports = in_parent([&] {
    return spawn_workers(workers, [&](int index) {
      if (index == 1) throw std::runtime_error("worker 1 has a bad day");
    });
  });
  ASSERT_EQ(reports.size(), static_cast<std::size_t>(workers));
  for (int i = 0; i < workers; ++i) {
    EXPECT_EQ(reports[static_cast<std::size_t>(i)].succeeded, i != 1) << "only work(1) threw; this is worker " << i;
  }
}

TEST(SpawnWorkers, ReportsAWorkerThatWasEndedByASignal) {
  std::vector<WorkerReport> reports = in_parent([&] {
    return spawn_workers(workers, [&](int index) {
      if (index == 2) raise(SIGKILL);
    });
  });
  ASSERT_EQ(reports.size(), static_cast<std::size_t>(workers));
  for (int i = 0; i < workers; ++i) {
    EXPECT_EQ(reports[static_cast<std::size_t>(i)].index, i);
    EXPECT_EQ(reports[static_cast<std::size_t>(i)].succeeded, i != 2) << "only worker 2 was killed; this is worker " << i;
  }
}

TEST(SpawnWorkers, EndsTheRunningWorkersWhenOneCannotBeStarted) {
  interleave::FailingFork third_fork_fails(2);
  try {
    in_parent([&] {
      return spawn_workers(workers, [](int) {
        while (true) pause();  // only a signal ends these workers
      });
    });
    ADD_FAILURE() << "the third fork() failed with EAGAIN, so spawn_workers must throw std::system_error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the code of the exception is the error of fork()";
  }
}

TEST(SpawnWorkers, StartsNothingForACountOfZeroAndRefusesLess) {
  EXPECT_TRUE(in_parent([&] { return spawn_workers(0, do_nothing); }).empty());
  EXPECT_THROW(in_parent([&] { return spawn_workers(-1, do_nothing); }), std::invalid_argument);
}
