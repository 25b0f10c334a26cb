#include "exercise/test.hpp"

#include <choose_executor.hpp>

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

// The clock that the learner's is compared with.
nanoseconds thread_cpu_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

nanoseconds steady_time() { return std::chrono::steady_clock::now().time_since_epoch(); }

constexpr nanoseconds burnt = 30ms;
constexpr nanoseconds slack = 1ms;  // for a clock that counts microseconds

// Computes for 30 ms of this thread's CPU time, however long that takes.
void burn() {
  for (nanoseconds start = thread_cpu_time(); thread_cpu_time() - start < burnt;) {
  }
}

// Waits while another thread computes.
void wait_for_another_thread() { std::thread(burn).join(); }

// Waits while nobody in this process computes, but another process does.
void wait_for_another_process() {
  pid_t child = ::fork();
  if (child == 0) {
    burn();
    ::_exit(0);
  }
  ASSERT_GT(child, 0) << "fork()";
  ::waitpid(child, nullptr, 0);
}

// Reads `clock` before and after `action`. How far it moves must lie between how far `judge` moves from after the first
// reading to before the second, and how far it moves from before the first to after the second.
void expect_agreement(const std::function<nanoseconds()>& clock, nanoseconds (*judge)(), void (*action)(),
                      const char* what) {
  nanoseconds outer = judge();
  nanoseconds mine = clock();
  nanoseconds inner = judge();
  action();
  inner = judge() - inner;
  mine = clock() - mine;
  outer = judge() - outer;
  EXPECT_GE(mine.count(), (inner - slack).count()) << "nanoseconds that " << what;
  EXPECT_LE(mine.count(), (outer + slack).count()) << "nanoseconds that " << what;
}

// What choose_executor() says, in a word.
std::string chosen(nanoseconds cpu, nanoseconds elapsed, int workers) {
  return choose_executor(cpu, elapsed, workers) == Executor::threads ? "threads" : "processes";
}

// Clocks that stand still but for what tasks make of them. They do not start at 0.
struct ScriptedTime {
  nanoseconds cpu_now = 3h;
  nanoseconds elapsed_now = 5h;

  Clocks clocks() {
    return {[this] { return cpu_now; }, [this] { return elapsed_now; }};
  }
  // A task that computes for `cpu` and is over after `elapsed`.
  Task task(nanoseconds cpu, nanoseconds elapsed, int result = 0, int* runs = nullptr) {
    return [=, this] {
      cpu_now += cpu;
      elapsed_now += elapsed;
      if (runs != nullptr) ++*runs;
      return result;
    };
  }
};

// Pools that write down what they were given, and run it one after the other.
struct RecordingPools {
  std::vector<std::string> calls;

  Pools pools() { return {pool("threads"), pool("processes")}; }
  Pool pool(const std::string& name) {
    return [this, name](std::span<const Task> tasks, int workers) {
      calls.push_back(std::to_string(tasks.size()) + " tasks to " + std::to_string(workers) + " " + name);
      std::vector<int> results;
      for (const Task& task : tasks) results.push_back(task());
      return results;
    };
  }
};

using Calls = std::vector<std::string>;

}  // namespace

TEST(RealClocks, HaveTheCpuTimeOfTheCallingThreadAlone) {
  Clocks clocks = real_clocks();
  expect_agreement(clocks.cpu, thread_cpu_time, burn, "the thread was computing, by your clock `cpu`");
  expect_agreement(clocks.cpu, thread_cpu_time, wait_for_another_thread,
                   "the thread was computing, by your clock `cpu`; it was waiting for another one that did");
}

TEST(RealClocks, HaveTheCpuTimeOfWhicheverThreadCalls) {
  Clocks clocks = real_clocks();
  std::thread([&] {
    expect_agreement(clocks.cpu, thread_cpu_time, burn,
                     "a thread was computing, by a clock `cpu` that had been made by another thread");
  }).join();
}

TEST(RealClocks, HaveAClockThatGoesOnWhileTheThreadSleeps) {
  expect_agreement(real_clocks().elapsed, steady_time, wait_for_another_process,
                   "went by while the thread slept, by your clock `elapsed`");
}

TEST(Measure, RunsTheTaskOnceInTheCallingThread) {
  ScriptedTime time;
  std::vector<std::thread::id> runs;
  Measurement measured = measure(
      [&] {
        runs.push_back(std::this_thread::get_id());
        return 7;
      },
      time.clocks());
  EXPECT_EQ(runs, std::vector{std::this_thread::get_id()}) << "the threads that ran the task: once, in the calling one";
  EXPECT_EQ(measured.result, 7) << "what the task returned";
}

TEST(Measure, TellsHowFarEachClockHasMoved) {
  ScriptedTime time;
  Measurement measured = measure(time.task(20ms, 90ms), time.clocks());
  EXPECT_EQ(measured.cpu.count(), nanoseconds(20ms).count()) << "the clock `cpu` moved by 20 ms";
  EXPECT_EQ(measured.elapsed.count(), nanoseconds(90ms).count()) << "the clock `elapsed` moved by 90 ms";
}

TEST(ChooseExecutor, SendsWhatComputesToProcesses) {
  EXPECT_EQ(chosen(100ms, 100ms, 2), "processes") << "computes all the time; 2 workers";
  EXPECT_EQ(chosen(9s, 10s, 2), "processes") << "computes nearly all the time; 2 workers";
  EXPECT_EQ(chosen(900us, 1ms, 2), "processes") << "computes nearly all of a short time; 2 workers";
}

TEST(ChooseExecutor, SendsWhatWaitsToThreads) {
  EXPECT_EQ(chosen(1ms, 100ms, 8), "threads") << "waits 99 of 100 ms; 8 workers";
  EXPECT_EQ(chosen(1s, 1h, 8), "threads") << "computes for a second, but waits for the rest of an hour";
  EXPECT_EQ(chosen(0ms, 100ms, 8), "threads") << "only waits; 8 workers";
}

TEST(ChooseExecutor, AsksHowManyTimesTheComputingFitsIntoTheTime) {
  EXPECT_EQ(chosen(20ms, 100ms, 4), "threads") << "20 of 100 ms: 4 workers compute for 80 ms";
  EXPECT_EQ(chosen(20ms, 100ms, 5), "threads") << "20 of 100 ms: 5 workers compute for just 100 ms";
  EXPECT_EQ(chosen(20ms, 100ms, 6), "processes") << "20 of 100 ms: 6 workers compute for 120 ms";
  EXPECT_EQ(chosen(20ms + 1ns, 100ms, 5), "processes") << "5 nanoseconds more than there are";
  EXPECT_EQ(chosen(70ms, 100ms, 1), "threads") << "a single worker has the GIL to itself";
}

TEST(ChooseExecutor, TakesATaskThatIsTooShortToBeMeasured) {
  EXPECT_EQ(chosen(0ns, 0ns, 4), "threads") << "neither clock moved: 4 * 0 is no more than 0";
}

TEST(ChooseExecutor, RefusesLessThanOneWorker) {
  EXPECT_THROW(choose_executor(1ms, 1ms, 0), std::invalid_argument);
  EXPECT_THROW(choose_executor(1ms, 1ms, -1), std::invalid_argument);
}

TEST(RunAll, RunsEachTaskOnceAndReturnsTheResultsInOrder) {
  ScriptedTime time;
  RecordingPools recording;
  std::array<int, 5> runs{};
  std::vector<Task> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(time.task(1ms, 1ms, 10 + i, &runs[static_cast<std::size_t>(i)]));
  EXPECT_EQ(run_all(tasks, 2, recording.pools(), time.clocks()), (std::vector{10, 11, 12, 13, 14}))
      << "the results of all the tasks, in their order; the probe's belongs to them";
  EXPECT_EQ(runs, (std::array{1, 1, 1, 1, 1})) << "how often each task was run; the probe was the first one's only run";
}

TEST(RunAll, HandsTheOthersToThePoolThatFits) {
  ScriptedTime time;
  RecordingPools recording;
  std::vector<Task> computing(7, time.task(95ms, 100ms)), waiting(4, time.task(5ms, 100ms));
  run_all(computing, 3, recording.pools(), time.clocks());
  EXPECT_EQ(recording.calls, Calls{"6 tasks to 3 processes"}) << "7 tasks that compute for 95 of 100 ms, 3 workers";
  recording.calls.clear();
  run_all(waiting, 2, recording.pools(), time.clocks());
  EXPECT_EQ(recording.calls, Calls{"3 tasks to 2 threads"}) << "4 tasks that compute for 5 of 100 ms, 2 workers";
}

TEST(RunAll, DoesNotCountWorkersThatHaveNothingToDo) {
  ScriptedTime time;
  RecordingPools recording;
  std::vector<Task> tasks(3, time.task(40ms, 100ms));
  run_all(tasks, 16, recording.pools(), time.clocks());
  ASSERT_EQ(recording.calls.size(), 1U) << "calls of a pool";
  EXPECT_TRUE(recording.calls[0].ends_with("threads"))
      << "only 2 of the 16 workers have something to do, and compute for 80 of 100 ms; yours: " << recording.calls[0];
}

TEST(RunAll, CallsNoPoolForNothing) {
  ScriptedTime time;
  RecordingPools recording;
  std::vector<Task> one{time.task(1ms, 1ms, 42)};
  EXPECT_EQ(run_all(one, 2, recording.pools(), time.clocks()), std::vector{42}) << "the result of a single task";
  EXPECT_EQ(recording.calls, Calls{}) << "the probe was the only task";
  EXPECT_EQ(run_all({}, 2, recording.pools(), time.clocks()), std::vector<int>{}) << "no tasks, no results";
  EXPECT_EQ(recording.calls, Calls{}) << "there was no task";
}

TEST(RunAll, PassesAnExceptionOfTheProbeOn) {
  ScriptedTime time;
  RecordingPools recording;
  std::vector<Task> tasks(3, [&]() -> int { throw std::out_of_range("the probe"); });
  EXPECT_THROW(run_all(tasks, 2, recording.pools(), time.clocks()), std::out_of_range) << "what the first task threw";
  EXPECT_EQ(recording.calls, Calls{}) << "nothing is run after the probe has thrown";
}

TEST(RunAll, PassesAnExceptionOfAPoolOn) {
  ScriptedTime time;
  RecordingPools recording;
  Pools pools = recording.pools();
  pools.processes = [](std::span<const Task>, int) -> std::vector<int> { throw std::out_of_range("the pool"); };
  std::vector<Task> tasks(3, time.task(1ms, 1ms));
  EXPECT_THROW(run_all(tasks, 2, pools, time.clocks()), std::out_of_range) << "what the pool of processes threw";
  EXPECT_EQ(recording.calls, Calls{}) << "nothing is run after the pool has thrown";
}

TEST(RunAll, RefusesLessThanOneWorkerBeforeItRunsAnything) {
  ScriptedTime time;
  RecordingPools recording;
  int runs = 0;
  std::vector<Task> tasks(3, time.task(1ms, 1ms, 0, &runs));
  for (int workers : {0, -1}) {
    EXPECT_THROW(run_all(tasks, workers, recording.pools(), time.clocks()), std::invalid_argument) << workers;
    EXPECT_THROW(run_all({}, workers, recording.pools(), time.clocks()), std::invalid_argument) << workers;
  }
  EXPECT_EQ(runs, 0) << "tasks that were run with no worker to run them";
}
