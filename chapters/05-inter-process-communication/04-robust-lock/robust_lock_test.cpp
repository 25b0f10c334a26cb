#include "exercise/test.hpp"

#include <robust_lock.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;

#if __has_feature(thread_sanitizer)
// ThreadSanitizer would take an unlock() that is there to be refused for a mistake of the test.
extern "C" const char* __tsan_default_options() { return "report_mutex_bugs=0"; }
#endif

namespace {

// Two locks and what the first one protects, in memory that child processes share.
class Segment {
 public:
  Segment() { make(); }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment() { munmap(memory_, sizeof(Contents)); }

  struct Contents {
    RobustLock lock, other_lock;
    int debit = 0, credit = 0;  // the same, unless somebody has died between the two
  };
  Contents* operator->() const { return contents_; }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), sizeof(Contents)}; }

  void make() { contents_ = new (memory_) Contents; }

 private:
  void* memory_ = mmap(nullptr, sizeof(Contents), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Contents* contents_ = nullptr;
};

// Calls `body` in a child process, and returns how that ended: with the errno of a std::system_error as its exit
// status.
int in_child(const std::function<void()>& body) {
  pid_t child = fork();
  if (child == 0) {
    try {
      body();
    } catch (const std::system_error& error) {
      _exit(error.code().value());
    } catch (...) {
      _exit(255);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

int error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

void in_thread(const std::function<void()>& body) { std::thread(body).join(); }

void no_repair() { ADD_FAILURE() << "repair() was called, and no holder has died"; }

void do_nothing() {}

// A child process takes the lock, repairs by `repair` what there may be to repair, does half of its work and dies.
void let_a_holder_die(const Segment& segment, const std::function<void()>& repair = do_nothing) {
  int status = in_child([&] {
    segment->lock.lock(repair);
    ++segment->debit;
    raise(SIGKILL);
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << "a child process had the lock and was to be killed, but it ended before that";
}

}  // namespace

TEST(RobustLock, IsIndependentOfOtherLocks) {
  Segment segment;
  Rendezvous both_inside(2, "2 locks, so 2 threads that hold one of them each, at the same time");
  auto visit = [&](RobustLock& lock) {
    lock.lock(no_repair);
    both_inside.arrive_and_wait();
    lock.unlock();
  };
  std::thread other([&] { visit(segment->other_lock); });
  visit(segment->lock);
  other.join();
}

TEST(RobustLock, RefusesToBeUnlockedByOthers) {
  Segment segment;
  EXPECT_EQ(error_of([&] { segment->lock.unlock(); }), EPERM) << "nobody holds the lock";
  segment->lock.lock(no_repair);
  in_thread([&] {
    EXPECT_EQ(error_of([&] { segment->lock.unlock(); }), EPERM) << "another thread of this process holds the lock";
  });
  int status = in_child([&] { segment->lock.unlock(); });
  EXPECT_EQ(WEXITSTATUS(status), EPERM) << "the holder has forked this child, but it is not the holder itself";
  in_thread([&] {
    EXPECT_FALSE(segment->lock.try_lock(no_repair))
        << "the lock is held still: an unlock() that is refused changes nothing";
  });
  segment->lock.unlock();
}

TEST(RobustLock, PassesOnWhenItsHolderIsKilled) {
  Segment segment;
  let_a_holder_die(segment);
  int repairs = 0;
  auto repair = [&] { ++repairs, segment->credit = segment->debit; };
  segment->lock.lock(repair);
  EXPECT_EQ(repairs, 1) << "calls of repair() by the lock() that comes first after the death of the holder";
  EXPECT_EQ(segment->credit, 1) << "what repair() writes must be there when lock() returns";
  segment->lock.unlock();
  segment->lock.lock(repair);
  EXPECT_EQ(repairs, 1) << "calls of repair(): the second lock() after the death has nothing to repair";
  segment->lock.unlock();
}

TEST(RobustLock, PassesOnToTryLock) {
  Segment segment;
  let_a_holder_die(segment);
  int repairs = 0;
  EXPECT_TRUE(segment->lock.try_lock([&] { ++repairs; })) << "the holder is dead, so the lock can be taken";
  EXPECT_EQ(repairs, 1) << "calls of repair() by the try_lock() that comes first after the death of the holder";
  in_thread([&] { EXPECT_FALSE(segment->lock.try_lock(no_repair)) << "another thread holds the lock"; });
  segment->lock.unlock();
  in_thread([&] {
    EXPECT_TRUE(segment->lock.try_lock(no_repair)) << "nobody holds the lock";
    segment->lock.unlock();
  });
}

TEST(RobustLock, PassesOnWhenAThreadEnds) {
  Segment segment;
  in_thread([&] {
    segment->lock.lock(no_repair);
    ++segment->debit;
  });
  int repairs = 0;
  segment->lock.lock([&] { ++repairs, segment->credit = segment->debit; });
  EXPECT_EQ(repairs, 1) << "calls of repair() after a thread has ended that held the lock";
  segment->lock.unlock();
}

TEST(RobustLock, RepairsWhileItIsHeld) {
  Segment segment;
  let_a_holder_die(segment);
  bool taken_by_another = false;
  segment->lock.lock([&] {
    in_thread([&] {
      taken_by_another = segment->lock.try_lock(do_nothing);
      if (taken_by_another) segment->lock.unlock();
    });
  });
  EXPECT_FALSE(taken_by_another) << "another thread had the lock while repair() was under way";
  segment->lock.unlock();
}

TEST(RobustLock, IsRepairedAgainWhenWhoRepairsItDies) {
  Segment segment;
  let_a_holder_die(segment);
  let_a_holder_die(segment, [] { raise(SIGKILL); });
  int repairs = 0;
  segment->lock.lock([&] { ++repairs; });
  EXPECT_EQ(repairs, 1) << "calls of repair() after a process was killed in the middle of its own repair()";
  segment->lock.unlock();
}

TEST(RobustLock, IsOfNoUseWhenARepairThrows) {
  struct BeyondRepair {};
  Segment segment;
  let_a_holder_die(segment);
  EXPECT_THROW(segment->lock.lock([] { throw BeyondRepair(); }), BeyondRepair) << "what repair() throws leaves lock()";
  int repairs = 0;
  auto repair = [&] { ++repairs; };
  EXPECT_EQ(error_of([&] { segment->lock.lock(repair); }), ENOTRECOVERABLE) << "lock() after a repair that threw";
  int status = in_child([&] { segment->lock.lock(do_nothing); });
  EXPECT_EQ(WEXITSTATUS(status), ENOTRECOVERABLE) << "the error of lock() in another process";
  EXPECT_EQ(error_of([&] { segment->lock.unlock(); }), EPERM) << "after a repair that threw, nobody holds the lock";
  // The last call: glibc's pthread_mutex_trylock() keeps a mutex that it calls not recoverable.
  EXPECT_EQ(error_of([&] { segment->lock.try_lock(repair); }), ENOTRECOVERABLE) << "try_lock() after that";
  EXPECT_EQ(repairs, 0) << "calls of repair() after one that threw";
}

TEST(RobustLock, RefusesWhoWaitsWhenARepairThrows) {
  Segment segment;
  let_a_holder_die(segment);
  std::latch repairing(1);
  Onlooker other([&](Onlooker& it) {
    auto fail_to_repair = [&] {
      repairing.count_down();
      it.wait_until_asleep();  // in lock()
      throw std::runtime_error("beyond repair");
    };
    EXPECT_THROW(segment->lock.lock(fail_to_repair), std::runtime_error) << "what repair() throws leaves lock()";
  });
  repairing.wait();
  EXPECT_EQ(error_of([&] { segment->lock.lock(do_nothing); }), ENOTRECOVERABLE)
      << "this lock() had been waiting when the repair() of another thread threw";
  other.call_is_over();
}

TEST(RobustLock, RefusesToBeLockedTwice) {
  Segment segment;
  segment->lock.lock(no_repair);
  EXPECT_EQ(error_of([&] { segment->lock.lock(no_repair); }), EDEADLK) << "this thread would wait for itself";
  segment->lock.unlock();
  EXPECT_TRUE(segment->lock.try_lock(no_repair)) << "one unlock() for the one lock() that was not refused";
  segment->lock.unlock();
}

// A process that holds the lock, and then gives it back or dies, when it is told to.
class Holder {
 public:
  explicit Holder(const Segment& segment) {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) {
      segment->lock.lock(no_repair);
      holds_->arrive_and_wait();
      char ignored = 0;
      [[maybe_unused]] ssize_t told = read(ends_[0], &ignored, 1);
      segment->lock.unlock();
      _exit(0);
    }
    holds_->arrive_and_wait();
  }
  ~Holder() {
    waitpid(child_, nullptr, 0);
    close(ends_[0]);
    close(ends_[1]);
  }
  void give_back() { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
  void die() { kill(child_, SIGKILL); }

 private:
  std::unique_ptr<Rendezvous> holds_ = std::make_unique<Rendezvous>(2, "a child process that holds the lock");
  int ends_[2] = {-1, -1};
  pid_t child_ = -1;
};

TEST(RobustLock, SleepsUntilAnotherProcessGivesItBack) {
  Segment segment;
  Holder holder(segment);
  Onlooker onlooker([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "lock() spins instead of sleeping");
    if (sight.time_limit) it.fail(FailureKind::wrong_answer, "lock() sleeps with a time limit, to look again");
    holder.give_back();
  });
  segment->lock.lock(no_repair);
  onlooker.call_is_over();
  segment->lock.unlock();
}

TEST(RobustLock, WakesWhoWaitsWhenItsHolderIsKilled) {
  Segment segment;
  Holder holder(segment);
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();
    holder.die();
  });
  int repairs = 0;
  segment->lock.lock([&] { ++repairs; });
  onlooker.call_is_over();
  EXPECT_EQ(repairs, 1) << "calls of repair() by the lock() that was waiting when the holder died";
  segment->lock.unlock();
}

TEST(RobustLock, SurvivesADeathAtEachStep) {
  if (std::string reason = interleave::why_no_steps(); !reason.empty()) GTEST_SKIP() << reason;
  Segment segment;
  auto work = [&] {
    segment->lock.lock(do_nothing);
    ++segment->debit;
    ++segment->credit;
    segment->lock.unlock();
  };
  work();  // here, so that the loader has found every function before the steps are counted
  interleave::die_at_each_step(
      segment.bytes(), [&] { segment.make(); }, work,
      [&](bool finished) {
        bool needs_repair = segment->debit != segment->credit;
        int repairs = 0;
        segment->lock.lock([&] { ++repairs, segment->credit = segment->debit; });
        EXPECT_EQ(segment->credit, segment->debit)
            << "the holder died between two changes, and lock() has not repaired them";
        if (needs_repair) EXPECT_EQ(repairs, 1) << "calls of repair() after a holder has died between two changes";
        if (finished) EXPECT_EQ(repairs, 0) << "calls of repair() after a holder has given the lock back";
        segment->lock.unlock();
        segment->lock.lock(no_repair);
        segment->lock.unlock();
      });
}

INTERLEAVING_TEST(RobustLock, LetsOneThreadInAtATime) {
  RobustLock lock;
  int visits = 0;
  auto visit = [&] {
    lock.lock(no_repair);
    ++visits;
    lock.unlock();
  };
  std::thread first(visit), second(visit);
  if (lock.try_lock(no_repair)) {
    ++visits;
    lock.unlock();
  }
  first.join();
  second.join();
  lock.lock(no_repair);
  EXPECT_GE(visits, 2) << "visits by 2 threads, and perhaps one more";
  lock.unlock();
}
