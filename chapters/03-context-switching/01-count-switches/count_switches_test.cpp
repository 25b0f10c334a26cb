#include "exercise/test.hpp"

#include <sys/prctl.h>

#include <count_switches.hpp>

using namespace std::chrono_literals;

// What the kernel guarantees on any machine, however busy: its counters never go back. So a count of the learner's must
// lie between what the same counters show inside of the call, and what they show around it. The tests bring the
// switches about by going on until the counters say that they have happened; no test assumes that some action is a
// switch.

namespace {

constexpr long many = 100;
constexpr long slack = 5;  // a preemption between two readings

Switches own() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return {usage.ru_nvcsw, usage.ru_nivcsw};
}

Switches since(const Switches& start) {
  Switches now = own();
  return {now.voluntary - start.voluntary, now.involuntary - start.involuntary};
}

// What another thread of this process has done voluntarily; -1 if it is gone.
long voluntary_switches_of(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  long count = -1;
  for (std::string word; status >> word;) {
    if (word == "voluntary_ctxt_switches:") status >> count;
  }
  return count;
}

void wait_until_gone(pid_t thread) {
  while (::access(("/proc/self/task/" + std::to_string(thread)).c_str(), F_OK) == 0) ::sched_yield();
}

// Returns when the calling thread has blocked many times more often than it was preempted, by the kernel's own count.
// (It sleeps, for whoever waits for another thread has to wake that one, and is preempted by it, as often as not.)
void block() {
  for (Switches start = own(); since(start).voluntary < since(start).involuntary + many;)
    std::this_thread::sleep_for(1us);
}

// A thread that blocks many times whenever it is told to, and sleeps otherwise.
class Sleeper {
 public:
  Sleeper() : thread_([this] { run(); }) { wait_until_asleep(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() {
    tell(end);
    thread_.join();
    wait_until_gone(id_);
  }

  // Returns when it has done so, and sleeps again.
  void block_many_times() {
    tell(work);
    wait_until_asleep();
  }

  // All its switches before it fell asleep.
  long voluntary() const { return before_sleep_; }

 private:
  enum Order : int { none, work, end };

  void run() {
    id_ = ::gettid();
    while (true) {
      order_ = none;
      before_sleep_ = own().voluntary;
      order_.wait(none);
      if (order_ == end) return;
      before_sleep_ = -1;
      block();
    }
  }

  void tell(Order order) {
    before_sleep_ = -1;
    order_ = order;
    order_.notify_one();
  }

  void wait_until_asleep() const {
    while (before_sleep_ < 0 || voluntary_switches_of(id_) <= before_sleep_) ::sched_yield();
  }

  std::atomic<int> order_ = none;
  std::atomic<long> before_sleep_ = -1;
  std::atomic<pid_t> id_ = 0;
  std::thread thread_;
};

// The calling thread on one CPU only, and then where it may be now.
class OneCpu {
 public:
  OneCpu() {
    CPU_ZERO(&before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    held_ = ::sched_getaffinity(0, sizeof(before_), &before_) == 0 && ::sched_setaffinity(0, sizeof(one), &one) == 0;
  }
  ~OneCpu() {
    if (held_) ::sched_setaffinity(0, sizeof(before_), &before_);
  }
  bool held() const { return held_; }

 private:
  cpu_set_t before_;
  bool held_;
};

void expect_between(const Switches& inside, const Switches& counted, const Switches& around) {
  EXPECT_GE(counted.voluntary, inside.voluntary - slack) << "the thread blocked more often inside of the call";
  EXPECT_LE(counted.voluntary, around.voluntary + slack)
      << "the thread did not block as often, inside and around the call";
  EXPECT_GE(counted.involuntary, inside.involuntary - slack)
      << "the thread was preempted more often inside of the call";
  EXPECT_LE(counted.involuntary, around.involuntary + slack) << "the thread was not preempted as often";
}

// A process that always wants the CPU; its switches are none of this process.
class Competitor {
 public:
  Competitor() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it must not outlive a test that is killed
    while (true) ::sched_yield();
  }
  Competitor(const Competitor&) = delete;
  Competitor& operator=(const Competitor&) = delete;
  ~Competitor() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

void expect_to_count_how_often_it_blocks() {
  block();  // what was before does not count
  Switches inside{}, around = own();
  Switches counted = count_switches([&] {
    inside = own();
    block();
    inside = since(inside);
  });
  expect_between(inside, counted, since(around));
}

// Some sandboxes in place of a kernel count no context switches; there is nothing to be graded then.
bool are_counted() {
  static const bool counted = [] {
    Switches start = own();
    for (int i = 0; i < 100 && since(start).voluntary == 0; ++i) std::thread([] {}).join();
    return since(start).voluntary > 0 && voluntary_switches_of(::gettid()) > 0;
  }();
  return counted;
}

class CountSwitches : public testing::Test {
  void SetUp() override {
    if (!are_counted()) GTEST_SKIP() << "the kernel of this machine does not count context switches";
  }
};

}  // namespace

TEST_F(CountSwitches, RunsTheCallOnceInTheCallingThread) {
  std::vector<std::thread::id> runs;
  count_switches([&] { runs.push_back(std::this_thread::get_id()); });
  EXPECT_EQ(runs, std::vector{std::this_thread::get_id()}) << "the threads that ran the call: once, in the calling one";
}

TEST_F(CountSwitches, CountsHowOftenTheThreadBlocks) { expect_to_count_how_often_it_blocks(); }

TEST_F(CountSwitches, CountsHowOftenTheThreadIsPreempted) {
  OneCpu cpu;
  if (!cpu.held()) GTEST_SKIP() << "this machine does not let a thread be held on one CPU, where it has to share it";
  Competitor competitor;
  Switches inside{}, around = own();
  Switches counted = count_switches([&] {
    inside = own();
    while (since(inside).involuntary < since(around).voluntary + many) ::sched_yield();
    inside = since(inside);
  });
  expect_between(inside, counted, since(around));
}

TEST_F(CountSwitches, CountsNothingOfItsOwn) {
  // A page that has to be fetched or a lock in the kernel may make even an empty call wait; but not each time.
  long least = count_switches([] {}).voluntary;
  for (int i = 0; i < 100 && least > 0; ++i) least = std::min(least, count_switches([] {}).voluntary);
  EXPECT_EQ(least, 0) << "voluntary switches of an empty call, at the least in 100 tries";
}

TEST_F(CountSwitches, LeavesOutTheThreadsThatWereThereBefore) {
  Sleeper other;
  Switches inside{}, around = own();
  Switches counted = count_switches([&] {
    inside = own();
    other.block_many_times();
    inside = since(inside);
  });
  expect_between(inside, counted, since(around));
}

TEST_F(CountSwitches, CountsAThreadThatTheCallStartsAndJoins) {
  Switches counted = count_switches([&] {
    pid_t id = 0;
    std::thread([&] {
      id = ::gettid();
      block();
    }).join();
    wait_until_gone(id);
  });
  EXPECT_GE(counted.voluntary, many) << "a thread that the call started, and joined, blocked as often as that";
}

TEST_F(CountSwitches, CountsAThreadThatTheCallLeavesRunning) {
  std::optional<Sleeper> left;
  Switches counted = count_switches([&] {
    left.emplace();
    left->block_many_times();
  });
  EXPECT_GE(counted.voluntary, left->voluntary()) << "a thread that the call started blocked as often as that, and is "
                                                     "still there";
}

TEST_F(CountSwitches, MayBeCalledByAnyThread) {
  pid_t test_thread = ::gettid();
  long before_join = own().voluntary;
  std::thread([&] {
    while (voluntary_switches_of(test_thread) <= before_join) ::sched_yield();  // until it sleeps in join()
    expect_to_count_how_often_it_blocks();
  }).join();
}

TEST_F(CountSwitches, PassesAnExceptionOn) {
  EXPECT_THROW(count_switches([] { throw std::out_of_range("the call"); }), std::out_of_range);
}
