#include "exercise/test.hpp"

#include <allow_threads.hpp>

using interleave::Onlooker;
using interleave::Rendezvous;
using namespace std::chrono_literals;

namespace {

/// A pipe with something in it, or nothing.
struct Pipe {
  explicit Pipe(const std::string& content = "") {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    write(content);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(ends[0]);
    close_for_writing();
  }

  void write(const std::string& content) {
    if (::write(ends[1], content.data(), content.size()) < 0) std::abort();
  }
  void close_for_writing() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }

  int ends[2];
};

std::string text_of(ByteArray& array) { return {array.bytes().begin(), array.bytes().end()}; }

/// Has the lock from here to the end of the scope, whatever the code under test does.
struct Holder {
  explicit Holder(InterpreterLock& lock) : lock(lock) { lock.acquire(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    if (lock.held()) lock.release();
  }

  InterpreterLock& lock;
};

/// Returns once another thread has had the lock.
void take_in_another_thread(InterpreterLock& lock) {
  std::thread([&] {
    lock.acquire();
    lock.release();
  }).join();
}

}  // namespace

TEST(AllowThreads, LetsOthersHaveTheLockAndTakesItBack) {
  InterpreterLock lock;
  lock.acquire();
  {
    AllowThreads allow(lock);
    EXPECT_FALSE(lock.held()) << "the scope of the AllowThreads";
    take_in_another_thread(lock);
  }
  EXPECT_TRUE(lock.held()) << "after the scope of the AllowThreads";
}

TEST(AllowThreads, TakesTheLockBackWhenAnExceptionPasses) {
  InterpreterLock lock;
  lock.acquire();
  try {
    AllowThreads allow(lock);
    throw std::runtime_error("the connection is closed");
  } catch (const std::runtime_error&) {
    EXPECT_TRUE(lock.held()) << "an exception has left the scope of the AllowThreads";
  }
}

TEST(AllowThreads, CanEndBeforeItsScope) {
  InterpreterLock lock;
  lock.acquire();
  {
    AllowThreads allow(lock);
    allow.end();
    EXPECT_TRUE(lock.held()) << "after end()";
    allow.end();
    lock.release();
    allow.end();
    EXPECT_FALSE(lock.held()) << "end() had been called before, and this thread has given the lock back since";
  }
  EXPECT_FALSE(lock.held()) << "after end() the destructor has nothing to do";
}

TEST(AllowThreads, RefusesAThreadThatDoesNotHoldTheLock) {
  InterpreterLock lock;
  EXPECT_THROW(AllowThreads{lock}, std::logic_error) << "nobody holds the lock";
  EXPECT_FALSE(lock.held());
  lock.acquire();
  {
    AllowThreads outer(lock);
    EXPECT_THROW(AllowThreads{lock}, std::logic_error) << "an AllowThreads in another one";
    EXPECT_FALSE(lock.held()) << "the outer AllowThreads goes on";
  }
  EXPECT_TRUE(lock.held()) << "after the scope of the outer AllowThreads";
}

INTERLEAVING_TEST(AllowThreads, LetsAllThreadsWaitAtTheSameTime) {
  InterpreterLock lock(100us);
  std::barrier meeting(2);
  int passed = 0;
  auto meet = [&] {
    lock.acquire();
    {
      AllowThreads allow(lock);
      meeting.arrive_and_wait();
    }
    ++passed;
    lock.release();
  };
  std::thread other(meet);
  meet();
  other.join();
  EXPECT_EQ(passed, 2) << "threads that have met";
}

TEST(ReadInto, AppendsWhatItReads) {
  InterpreterLock lock;
  ByteArray target(lock);
  Pipe pipe("one");
  lock.acquire();
  EXPECT_EQ(read_into(lock, pipe.ends[0], target), 3u);
  EXPECT_TRUE(lock.held()) << "read_into() has returned";
  pipe.write("two");
  EXPECT_EQ(read_into(lock, pipe.ends[0], target), 3u);
  EXPECT_EQ(text_of(target), "onetwo");
  pipe.close_for_writing();
  EXPECT_EQ(read_into(lock, pipe.ends[0], target), 0u) << "the end of the file";
  EXPECT_EQ(text_of(target), "onetwo") << "the end of the file was read";
}

TEST(ReadInto, HasTheLockBackAfterAnError) {
  InterpreterLock lock;
  ByteArray target(lock);
  lock.acquire();
  try {
    read_into(lock, -1, target);
    ADD_FAILURE() << "-1 is no descriptor, so this throws";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EBADF);
  }
  ASSERT_TRUE(lock.held()) << "read_into() has thrown";
  EXPECT_EQ(text_of(target), "") << "nothing was read";
}

TEST(ReadInto, LetsOthersChangeTheTargetMeanwhile) {
  InterpreterLock lock;
  ByteArray target(lock);
  Pipe pipe;
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();  // it waits in read(2)
    lock.acquire();
    target.bytes().assign(10'000, 'x');
    lock.release();
    pipe.write("abc");
  });
  Holder holder(lock);
  EXPECT_EQ(read_into(lock, pipe.ends[0], target), 3u);
  onlooker.call_is_over();
  EXPECT_EQ(text_of(target), std::string(10'000, 'x') + "abc")
      << "another thread appended 10,000 bytes while read_into() waited, and then there were 3 to read";
}

// Three threads read, each from a pipe of its own. The one that came last is the first to get something.
TEST(ReadInto, LetsAllThreadsWaitAtTheSameTime) {
  constexpr std::size_t readers = 3;
  InterpreterLock lock;
  std::array<Pipe, readers> pipes;
  std::array<std::optional<Rendezvous>, readers> passed;
  for (auto& one : passed) one.emplace(2, "3 threads that wait in read_into() at the same time");
  std::latch all_done(1);
  Onlooker onlooker([&](Onlooker& it) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < readers; ++i) {
      threads.emplace_back([&, i] {
        ByteArray target(lock);
        lock.acquire();
        read_into(lock, pipes[i].ends[0], target);
        lock.release();
        passed[i]->arrive_and_wait();
      });
      it.wait_until_asleep();
    }
    for (std::size_t i = readers; i-- > 0;) {
      pipes[i].write("x");
      passed[i]->arrive_and_wait();
    }
    for (auto& thread : threads) thread.join();
    all_done.count_down();
  });
  all_done.wait();
  onlooker.call_is_over();
}
