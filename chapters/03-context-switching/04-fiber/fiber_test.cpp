#include "exercise/test.hpp"

#include <fiber.hpp>

using interleave::FailureKind;

namespace {

constexpr std::size_t kibibyte = 1024;
constexpr std::size_t mebibyte = 1024 * kibibyte;

// A line of /proc/self/maps.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::string access;
};

std::vector<Mapping> mappings() {
  std::vector<Mapping> result;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char dash = 0;
    std::istringstream fields(line);
    fields >> std::hex >> mapping.begin >> dash >> mapping.end >> mapping.access;
    result.push_back(mapping);
  }
  return result;
}

// The address space of this process, in bytes.
std::size_t mapped_memory() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::string current_message() {
  std::exception_ptr current = std::current_exception();
  if (!current) return "none";
  try {
    std::rethrow_exception(current);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

}  // namespace

TEST(FiberScheduler, RunsAFiberToItsEndOnTheCallingThread) {
  FiberScheduler fibers;
  int begun = 0;
  int ended = 0;
  pid_t thread = 0;
  fibers.spawn([&] {
    ++begun;
    thread = gettid();
    fibers.yield();
    ++ended;
  });
  EXPECT_EQ(begun, 0) << "spawn() starts nothing, run() does";
  fibers.run();
  EXPECT_EQ(begun, 1) << "how often the fiber began";
  EXPECT_EQ(ended, 1) << "how often the fiber came to its end";
  EXPECT_EQ(thread, gettid()) << FailureKind::forbidden_shortcut
                              << "the fiber ran on another thread than the one that called run(): such a switch goes "
                                 "through the kernel's scheduler";
}

TEST(FiberScheduler, KeepsTheLocalVariablesOfEachFiberOverAYield) {
  FiberScheduler fibers;
  int begun = 0;
  int resumed = 0;
  bool both_had_begun = false;
  auto body = [&] {
    volatile int locals[64];
    int number = begun++;
    for (volatile int& local : locals) local = number;
    fibers.yield();
    if (resumed == 0) both_had_begun = begun == 2;
    // What it has to find comes from the order of the turns: its own memory may be another fiber's.
    int expected = resumed++;
    if (!both_had_begun) return;  // that the other one has its turn is for the next test
    int kept = 0;
    for (volatile int& local : locals) kept += local == expected ? 1 : 0;
    EXPECT_EQ(kept, 64) << "of 64 local variables of fiber " << expected << ", how many are after a yield() what they "
                        << "were before";
  };
  fibers.spawn(body);
  fibers.spawn(body);
  fibers.run();
}

TEST(FiberScheduler, TakesTurnsInTheOrderOfSpawn) {
  FiberScheduler fibers;
  std::string turns;
  int begun = 0;
  auto fiber = [&](char name, int count) {
    return [&, name, count] {
      ++begun;
      for (int turn = 0; turn < count; ++turn) {
        if (turn == 1) {
          fibers.yield();
          EXPECT_EQ(begun, 3) << FailureKind::over_synchronised
                              << "fibers of 3 that had begun when the yield() of fiber " << name
                              << " returned; every other one has to have its turn first";
        } else if (turn > 1) {
          fibers.yield();
        }
        turns += name;
      }
    };
  };
  fibers.spawn(fiber('a', 2));
  fibers.spawn(fiber('b', 3));
  fibers.spawn(fiber('c', 1));
  fibers.run();
  EXPECT_EQ(turns, "abcabb") << "a has two turns, b three, c one, spawned in this order";
}

TEST(FiberScheduler, RunsTheFibersThatAreSpawnedByAFiberOrLater) {
  FiberScheduler fibers;
  std::string turns;
  fibers.spawn([&] {
    turns += 'a';
    for (char name = 'b'; name <= 'i'; ++name) fibers.spawn([&turns, name] { turns += name; });
    fibers.yield();
    turns += 'A';
  });
  fibers.run();
  EXPECT_EQ(turns, "abcdefghiA") << "fiber a spawns b to i and yields, then has its second turn, A";
  fibers.spawn([&] { turns += 'z'; });
  fibers.run();
  EXPECT_EQ(turns, "abcdefghiAz") << "after run() another fiber was spawned, z, and run() called again";
}

TEST(FiberScheduler, GivesEachFiberAStackOfItsSizeWithAGuardPageBelow) {
  constexpr std::size_t stack_size = 512 * kibibyte;
  constexpr std::size_t overhead = 16 * kibibyte;  // of whatever else is at the top of the stack
  FiberScheduler fibers(stack_size);
  std::vector<std::uintptr_t> frames;
  std::vector<Mapping> seen;
  for (int i = 0; i < 8; ++i) {
    fibers.spawn([&] {
      frames.push_back(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
      fibers.yield();
    });
    fibers.spawn([] {});  // finished soon, so that the guard page of a neighbour does not pass for one's own
  }
  fibers.spawn([&] { seen = mappings(); });  // while the first 8 are in the middle of their function
  fibers.run();
  ASSERT_EQ(frames.size(), 8U);
  for (std::uintptr_t frame : frames) {
    auto stack = std::find_if(seen.begin(), seen.end(), [&](auto& m) { return m.begin <= frame && frame < m.end; });
    ASSERT_NE(stack, seen.end()) << "a fiber's stack must be mapped memory";
    std::size_t below = frame - stack->begin;
    EXPECT_TRUE(below + overhead >= stack_size && below <= stack_size + overhead)
        << "memory below the first frame of a fiber: " << below << " bytes, for a stack of " << stack_size
        << " bytes (other mappings that follow without a guard page count as well)";
    EXPECT_TRUE(stack != seen.begin() && (stack - 1)->end == stack->begin && (stack - 1)->access.starts_with("---"))
        << "right below a fiber's stack there must be a page that can be neither read nor written (PROT_NONE)";
  }
}

TEST(FiberScheduler, GivesTheStackOfAFinishedFiberBack) {
  constexpr int fiber_count = 256;
  FiberScheduler fibers(mebibyte);
  std::size_t before = mapped_memory();
  std::size_t at_the_end = 0;
  int finished = 0;
  std::function<void()> body = [&] {
    if (++finished < fiber_count) {
      fibers.spawn(body);
    } else {
      at_the_end = mapped_memory();
    }
  };
  fibers.spawn(body);
  fibers.run();
  EXPECT_EQ(finished, fiber_count);
  EXPECT_LT(at_the_end, before + fiber_count / 2 * mebibyte)
      << FailureKind::leak << "address space of the process when the last of " << fiber_count
      << " fibers of 1 MiB ran, each spawned by the one before as its last deed; it began with " << before;
}

TEST(FiberScheduler, ThrowsTheFirstExceptionOfAFiberWhenAllAreFinished) {
  FiberScheduler fibers;
  bool finished = false;
  fibers.spawn([&] {
    fibers.yield();
    throw std::runtime_error("late");
  });
  fibers.spawn([] { throw std::runtime_error("early"); });
  fibers.spawn([&] {
    for (int i = 0; i < 3; ++i) fibers.yield();
    finished = true;
  });
  std::string message = "none";
  try {
    fibers.run();
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  EXPECT_EQ(message, "early") << "what run() throws, when one fiber has thrown 'early' and then another one 'late'";
  EXPECT_TRUE(finished) << "a fiber that did not throw has to come to its end before run() throws";
  EXPECT_NO_THROW(fibers.run()) << "the exception was thrown before; there is nothing more to do";
}

TEST(FiberScheduler, KeepsTheExceptionThatAFiberHandlesOverAYield) {
  FiberScheduler fibers;
  std::vector<std::string> seen;
  auto fiber = [&](const char* name) {
    return [&, name] {
      try {
        throw std::runtime_error(name);
      } catch (...) {
        fibers.yield();
        seen.push_back(std::string("fiber ") + name + " handles " + current_message());
      }
      seen.push_back(std::string("fiber ") + name + " handles " + current_message());
    };
  };
  fibers.spawn(fiber("a"));
  fibers.spawn(fiber("b"));
  fibers.run();
  EXPECT_EQ(seen, (std::vector<std::string>{"fiber a handles a", "fiber a handles none", "fiber b handles b",
                                            "fiber b handles none"}))
      << "each fiber threw its name and called yield() in the catch block; see std::current_exception()";
}

TEST(FiberScheduler, RefusesToYieldOutsideAFiberAndToRunInOne) {
  FiberScheduler fibers;
  EXPECT_THROW(fibers.yield(), std::logic_error) << "no fiber runs before run()";
  bool refused = false;
  fibers.spawn([&] {
    try {
      fibers.run();
    } catch (const std::logic_error&) {
      refused = true;
    }
  });
  fibers.run();
  EXPECT_TRUE(refused) << "run() in a fiber must throw std::logic_error";
  EXPECT_THROW(fibers.yield(), std::logic_error) << "no fiber runs after run()";
}

TEST(FiberScheduler, RefusesAStackOfNoBytesAndOneForWhichThereIsNoMemory) {
  EXPECT_THROW(FiberScheduler nothing(0), std::invalid_argument);
  FiberScheduler fibers(std::size_t{1} << 60);  // more than any address space has
  bool begun = false;
  int error = 0;
  try {
    fibers.spawn([&] { begun = true; });
    ADD_FAILURE() << "mmap() failed, so spawn() must throw std::system_error";
  } catch (const std::system_error& failure) {
    error = failure.code().value();
  }
  EXPECT_EQ(error, ENOMEM) << "the code of the exception is the error of mmap()";
  fibers.run();
  EXPECT_FALSE(begun) << "a fiber that could not be spawned must not run";
}
