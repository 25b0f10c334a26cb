#include "exercise/test.hpp"

#include <mutex.hpp>

using interleave::FailureKind;
using interleave::Onlooker;

namespace {

// What try_lock() says to a thread that does not have the mutex; it is given back at once.
bool another_thread_can_take(Mutex& m) {
  bool taken = false;
  std::thread([&] {
    taken = m.try_lock();
    if (taken) m.unlock();
  }).join();
  return taken;
}

}  // namespace

INTERLEAVING_TEST(Mutex, LetsTryLockInOnlyWhenItIsFree) {
  Mutex m;
  EXPECT_TRUE(m.try_lock()) << "nobody has the mutex yet";
  EXPECT_FALSE(another_thread_can_take(m)) << "the test's thread has taken it with try_lock()";
  m.unlock();
  m.lock();
  EXPECT_FALSE(another_thread_can_take(m)) << "the test's thread has taken it with lock()";
  m.unlock();
  EXPECT_TRUE(another_thread_can_take(m)) << "the test's thread has unlocked it";
}

TEST(Mutex, IsALockOfItsOwn) {
  Mutex one, other;
  one.lock();
  EXPECT_TRUE(another_thread_can_take(other))
      << FailureKind::over_synchronised << "one mutex is held, and that must keep nobody from another mutex";
  one.unlock();
}

TEST(Mutex, IsSmall) {
  Mutex m;
  m.lock();
  m.unlock();
  EXPECT_LE(sizeof(Mutex), 16U) << FailureKind::forbidden_shortcut
                                << "bytes of a mutex: it is made of atomics, not of another lock";
}

TEST(Mutex, SleepsUntilItIsUnlocked) {
  Mutex m;
  std::latch seen(1);
  m.lock();
  std::thread waiter([&] {
    m.lock();
    m.unlock();
  });
  Onlooker onlooker([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) {
      it.fail(FailureKind::wrong_answer,
              "a thread in lock() keeps the CPU busy while another has the mutex; it must sleep");
    }
    if (sight.time_limit) {
      it.fail(FailureKind::wrong_answer,
              "a thread in lock() sleeps with a time limit, to look again and again; it must "
              "sleep until unlock() wakes it");
    }
    seen.count_down();
  });
  seen.wait();
  m.unlock();  // nothing else wakes the waiter
  waiter.join();
  onlooker.call_is_over();
}

// What the mutex guards is a long, with eight bytes to itself: ThreadSanitizer knows the last four accesses to each
// eight, and beside a mutex that is small they would soon be none but those to the mutex.

INTERLEAVING_TEST(Mutex, LetsOneThreadInAtATime) {
  Mutex m;
  long entered = 0;
  auto enter = [&] {
    std::lock_guard lock(m);
    ++entered;
  };
  std::thread one(enter), two(enter), three(enter);
  one.join(), two.join(), three.join();
  EXPECT_EQ(entered, 3) << "times that a thread was inside, each counted with the mutex held";
}

INTERLEAVING_TEST(Mutex, ShowsTryLockWhatWasWrittenBeforeUnlock) {
  Mutex m;
  long written = 0;
  std::atomic<bool> unlocked = false;
  std::thread writer([&] {
    m.lock();
    written = 1;
    m.unlock();
    unlocked.store(true, std::memory_order_relaxed);  // relaxed: that nothing but the mutex puts the threads in order
  });
  while (!unlocked.load(std::memory_order_relaxed)) std::this_thread::yield();
  if (m.try_lock()) {
    EXPECT_EQ(written, 1) << "what the other thread wrote with the mutex held";
    m.unlock();
  }
  writer.join();
}

INTERLEAVING_TEST(Mutex, WakesTheWaiterWhateverTryLockDoes) {
  Mutex m;
  long entered = 0;
  auto enter = [&] {
    std::lock_guard lock(m);
    ++entered;
  };
  std::thread one(enter), two(enter);
  if (m.try_lock()) {
    ++entered;
    m.unlock();
  }
  one.join(), two.join();
  EXPECT_GE(entered, 2) << "both threads in lock() come in";
}
