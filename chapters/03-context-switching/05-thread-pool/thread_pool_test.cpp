#include "exercise/test.hpp"

#include <thread_pool.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

// Two types of tasks for nearly all: a future of each is what the compiler of these tests works at longest.
using Action = std::function<void()>;
using Number = std::function<int()>;

// A folder that looks like /sys/fs/cgroup, with nothing in it yet.
class Cgroups {
 public:
  Cgroups() {
    std::string name = (fs::temp_directory_path() / "thread-pool-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    mount_ = name;
  }
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;
  ~Cgroups() { fs::remove_all(mount_); }

  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((mount_ / file).parent_path());
    std::ofstream(mount_ / file) << text;
  }
  // allowed_cpus() of a process with this text in its /proc/self/cgroup.
  std::size_t allowed(const std::string& membership) const {
    write("membership", membership);
    return allowed_cpus(mount_, mount_ / "membership");
  }
  const fs::path& mount() const { return mount_; }

 private:
  fs::path mount_;
};

cpu_set_t affinity() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  ::sched_getaffinity(0, sizeof(mask), &mask);
  return mask;
}

std::size_t cpus_in_mask() {
  cpu_set_t mask = affinity();
  return static_cast<std::size_t>(CPU_COUNT(&mask));
}

// While it lives, this thread may use one CPU only.
class OneCpu {
 public:
  OneCpu() {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &before_)) CPU_SET(cpu, &one);
    }
    permitted = ::sched_setaffinity(0, sizeof(one), &one) == 0;
  }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;
  ~OneCpu() { ::sched_setaffinity(0, sizeof(before_), &before_); }

  bool permitted;

 private:
  cpu_set_t before_ = affinity();
};

std::ptrdiff_t threads_of_this_process() {
  return std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator());
}

#define NEEDS_TWO_CPUS() \
  if (cpus_in_mask() < 2) GTEST_SKIP() << "this process may use one CPU only, and no quota is less than that"

// By type alone: what is in the exception is freed by one of two threads, and ThreadSanitizer does not see how they
// settle which.
struct Failed {};

}  // namespace

TEST(AllowedCpus, AreThoseInTheAffinityMask) {
  Cgroups cgroups;
  EXPECT_EQ(cgroups.allowed("0::/\n"), cpus_in_mask()) << "CPUs in the affinity mask";
  OneCpu one;
  if (!one.permitted) GTEST_SKIP() << "this machine does not let a thread choose its CPUs: graded without that";
  EXPECT_EQ(cgroups.allowed("0::/\n"), 1U) << "the mask of this thread has one CPU";
}

TEST(AllowedCpus, AreNoMoreThanTheCgroupsQuota) {
  Cgroups cgroups;
  cgroups.write("pod/app/cpu.max", "100000 100000\n");
  EXPECT_EQ(cgroups.allowed("0::/pod/app\n"), 1U) << "cpu.max is 100000 100000: one CPU";
  EXPECT_EQ(cgroups.allowed("0::/pod/other\n"), cpus_in_mask()) << "the quota is that of another cgroup";
  EXPECT_EQ(cgroups.allowed("4:memory:/x\n0::/pod/app\n"), 1U) << "the line of cgroup v2 is not the first one";
  NEEDS_TWO_CPUS();
}

TEST(AllowedCpus, AreNoMoreThanTheQuotaOfACgroupAbove) {
  Cgroups cgroups;
  cgroups.write("pod/app/cpu.max", "max 100000\n");
  cgroups.write("pod/cpu.max", "100000 100000\n");
  EXPECT_EQ(cgroups.allowed("0::/pod/app\n"), 1U) << "pod/app has no limit, but pod has one";
  EXPECT_EQ(cgroups.allowed("0::/\n"), cpus_in_mask()) << "the quota is that of a cgroup below";
  cgroups.write("cpu.max", "100000 100000\n");
  EXPECT_EQ(cgroups.allowed("0::/other/app\n"), 1U) << "the root of what is mounted has a limit, as in a container";
  NEEDS_TWO_CPUS();
}

TEST(AllowedCpus, RoundAPartOfACpuUp) {
  Cgroups cgroups;
  cgroups.write("app/cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroups.allowed("0::/app\n"), 1U) << "half a CPU";
  cgroups.write("app/cpu.max", "150000 100000\n");
  EXPECT_EQ(cgroups.allowed("0::/app\n"), std::min<std::size_t>(cpus_in_mask(), 2)) << "1.5 CPUs";
}

TEST(AllowedCpus, HaveNoLimitWhereThereIsNoCgroup) {
  Cgroups cgroups;
  EXPECT_EQ(allowed_cpus(cgroups.mount(), cgroups.mount() / "membership"), cpus_in_mask()) << "there are no such files";
  cgroups.write("cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroups.allowed("4:memory:/app\n1:cpu:/app\n"), cpus_in_mask())
      << "cgroup v1 only: no line begins with 0::";
}

TEST(ThreadPool, RefusesToHaveNoWorkers) { EXPECT_THROW(ThreadPool(0), std::invalid_argument); }

INTERLEAVING_TEST(ThreadPool, WakesItsWorkersForTheEnd) {
  ThreadPool pool(2);
  EXPECT_EQ(pool.size(), 2U);
}

INTERLEAVING_TEST(ThreadPool, WakesItsWorkerForATask) {
  ThreadPool pool(1);
  EXPECT_EQ(pool.submit(Number([] { return 42; })).get(), 42);
}

TEST(ThreadPool, LetsATaskSubmitTasks) {
  ThreadPool pool(1);
  std::future<int> inner;
  pool.submit(Action([&] { inner = pool.submit(Number([] { return 42; })); })).get();
  EXPECT_EQ(inner.get(), 42) << "what a task returned that another task had submitted";
}

INTERLEAVING_TEST(ThreadPool, WakesAWorkerForEachTask) {
  ThreadPool pool(2);
  std::latch both(2);  // a deadlock here: the two tasks never run at the same time
  auto first = pool.submit(Action([&] { both.arrive_and_wait(); }));
  auto second = pool.submit(Action([&] { both.arrive_and_wait(); }));
  first.get();
  second.get();
}

TEST(ThreadPool, HasAWorkerForEachAllowedCpu) {
  EXPECT_EQ(ThreadPool(3).size(), 3U);
  OneCpu one;
  EXPECT_EQ(ThreadPool().size(), allowed_cpus()) << "the default";
}

TEST(ThreadPool, RunsTasksInItsWorkersOnly) {
  const std::ptrdiff_t threads_before = threads_of_this_process();
  ThreadPool pool(2);
  std::vector<std::future<pid_t>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(pool.submit(Number([] { return ::gettid(); })));
  std::set<pid_t> threads;
  for (auto& future : futures) threads.insert(future.get());
  EXPECT_LE(threads.size(), 2U) << "threads that ran 50 tasks of a pool with 2 workers";
  EXPECT_FALSE(threads.contains(::gettid())) << "submit() ran a task itself";
  EXPECT_LE(threads_of_this_process(), threads_before + 2) << "threads with a pool of 2 workers";
}

TEST(ThreadPool, LetsNoTaskWaitForABusyWorker) {
  ThreadPool pool(2);
  Rendezvous both(
      2, "the third task runs, in the worker that is done with the second, beside the first, which is not done");
  auto first = pool.submit(Action([&] { both.arrive_and_wait(); }));
  auto second = pool.submit(Action([] {}));
  auto third = pool.submit(Action([&] { both.arrive_and_wait(); }));
  first.get();
  second.get();
  third.get();
}

TEST(ThreadPool, GivesWhatATaskReturnsOrThrows) {
  ThreadPool pool(1);
  auto text = std::make_unique<std::string>("moved");
  auto moved = pool.submit([text = std::move(text)]() mutable { return std::move(text); });
  auto failing = pool.submit(Number([]() -> int { throw Failed(); }));
  auto next = pool.submit(Number([] { return 42; }));
  std::unique_ptr<std::string> result = moved.get();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(*result, "moved") << "went into the task and came out as its result";
  EXPECT_THROW(failing.get(), Failed) << "what the task threw";
  EXPECT_EQ(next.get(), 42) << "the task after the one that threw";
}

TEST(ThreadPool, SleepsWhileThereIsNothingToDo) {
  ThreadPool pool(2);
  pool.submit(Action([] {})).get();
  std::latch seen(1);
  Onlooker onlooker([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy)
      it.fail(FailureKind::wrong_answer, "the workers have nothing to do and use the CPU");
    if (sight.time_limit && !interleave::under_sanitizer) {  // ThreadSanitizer has a thread of its own, which does that
      it.fail(FailureKind::wrong_answer, "a worker sleeps for a time, to look again; it must sleep until it is woken");
    }
    seen.count_down();
  });
  seen.wait();
  onlooker.call_is_over();
}

TEST(ThreadPool, TakesNoTaskAfterShutdown) {
  bool ran = false;
  {
    ThreadPool pool(1);
    pool.shutdown();
    pool.shutdown();
    EXPECT_THROW(pool.submit(Action([&] { ran = true; })), std::runtime_error) << "submit() after shutdown()";
  }
  EXPECT_FALSE(ran) << "a task that was submitted after shutdown()";
}

TEST(ThreadPool, RunsWhatWasSubmittedBeforeShutdown) {
  std::vector<std::future<int>> futures;
  std::latch closed(1);
  {
    ThreadPool pool(1);
    futures.push_back(pool.submit(Number([&] {
      closed.wait();
      return 0;
    })));
    for (int i = 1; i < 4; ++i) futures.push_back(pool.submit(Number([i] { return i; })));
    pool.shutdown();
    closed.count_down();
  }
  for (int i = 0; i < 4; ++i) {
    auto& future = futures[static_cast<std::size_t>(i)];
    ASSERT_EQ(future.wait_for(0s), std::future_status::ready)
        << "task " << i << " has not been run, but the pool is gone";
    EXPECT_NO_THROW(EXPECT_EQ(future.get(), i)) << "task " << i << " was accepted, so it must be run";
  }
}

TEST(ThreadPool, MayBeDestroyedByItsOwnTask) {
  const std::ptrdiff_t threads_before = threads_of_this_process();
  auto pool = std::make_shared<ThreadPool>(1);
  std::latch alone(1);
  auto last_owner = pool->submit(Number([&alone, pool]() mutable {
    alone.wait();
    pool.reset();
    return 1;
  }));
  auto next = pool->submit(Number([] { return 2; }));
  pool.reset();
  alone.count_down();
  EXPECT_EQ(last_owner.get(), 1) << "the task that destroyed its pool goes on";
  EXPECT_NO_THROW(EXPECT_EQ(next.get(), 2)) << "accepted before the pool was destroyed";
  while (threads_of_this_process() > threads_before) std::this_thread::yield();  // the worker ends by itself
}

INTERLEAVING_TEST(ThreadPool, RunsEachTaskThatItAcceptedBesideShutdown) {
  ThreadPool pool(1);
  std::thread closing([&] { pool.shutdown(); });
  std::future<int> future;
  try {
    future = pool.submit(Number([] { return 42; }));
  } catch (const std::runtime_error&) {
    // too late
  }
  closing.join();
  if (future.valid()) EXPECT_EQ(future.get(), 42) << "accepted, so it must be run";
}
