#include "exercise/test.hpp"

#include <what_is_shared.hpp>

#include "launchers.hpp"
#include "partly_shared_memory.hpp"

using interleave::in_parent;
using launchers::called;
using launchers::cloned;
using launchers::forked;
using launchers::name_of;
using launchers::shared_by;
using launchers::threaded;

namespace {

constexpr Sharing nothing{false, false, false, false, false, false};
constexpr Sharing everything{true, true, true, true, true, true};

std::string directory() {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}

// The flags of each descriptor that is open: close-on-exec, and those of the open file behind it.
std::map<int, std::pair<int, int>> flags_of_descriptors() {
  std::map<int, std::pair<int, int>> flags;
  for (int descriptor = 0; descriptor < 256; ++descriptor) {
    int own = fcntl(descriptor, F_GETFD);
    if (own >= 0) flags[descriptor] = {own, fcntl(descriptor, F_GETFL)};
  }
  return flags;
}

// Each test runs in a directory of its own, which no solution can know.
class WhatIsShared : public testing::Test {
 protected:
  void SetUp() override {
    home_ = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(home_, 0);
    std::string name = (std::filesystem::temp_directory_path() / "what-is-shared-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    own_directory_ = name;
    std::filesystem::current_path(own_directory_);
  }

  void TearDown() override {
    EXPECT_EQ(fchdir(home_), 0);
    close(home_);
    std::filesystem::remove(own_directory_);
  }

  // Asks the learner's function. Whatever it is asked, the creator must be where it was.
  Sharing ask(const Launcher& launcher) {
    std::string before = directory();
    Sharing answer = in_parent([&] { return what_is_shared(launcher); });
    EXPECT_EQ(directory(), before) << "the creator's working directory after what_is_shared, and the one before it";
    std::filesystem::current_path(before);
    return answer;
  }

 private:
  int home_ = -1;
  std::filesystem::path own_directory_;
};

}  // namespace

void PrintTo(const Sharing& sharing, std::ostream* out) {
  *out << "shared:";
  if (sharing.memory) *out << " memory";
  if (sharing.heap) *out << " heap";
  if (sharing.stack) *out << " stack";
  if (sharing.descriptors) *out << " descriptors";
  if (sharing.working_directory) *out << " working_directory";
  if (sharing.pid) *out << " pid";
  if (sharing == nothing) *out << " nothing";
}

TEST_F(WhatIsShared, SharesNothingWithAForkedProcess) {
  EXPECT_EQ(ask(forked), nothing) << "a child made by fork() has a copy of everything: the same bytes at the same "
                                     "addresses, the same descriptor numbers, and yet no effect of it is seen here";
}

// In the next two tests the one thing that is shared is the one that must be as it was, so a probe that leaves it
// changed is found here. That the answer is right is another test's question. (Directory and descriptors are compared
// after every other test too.)

TEST_F(WhatIsShared, LeavesTheDescriptorsAsTheyWere) {
  auto before = flags_of_descriptors();
  ask(cloned(CLONE_FILES));
  auto after = flags_of_descriptors();
  for (auto [descriptor, flags] : before) {
    if (after.contains(descriptor)) {
      EXPECT_EQ(after[descriptor], flags) << "flags (F_GETFD, F_GETFL) of descriptor " << descriptor
                                          << ": the unit shares the descriptors, so what it does to them stays done";
    }
  }
}

TEST_F(WhatIsShared, LeavesTheWorkingDirectoryAsItWas) { ask(cloned(CLONE_FS)); }

TEST_F(WhatIsShared, SharesEverythingWithAThread) {
  EXPECT_EQ(ask(threaded), everything) << "a std::thread: what it does to any of these, it does to the whole process";
}

TEST_F(WhatIsShared, SaysTheSameWhateverWasAskedBefore) {
  EXPECT_EQ(ask(forked), nothing) << "a forked process, after a thread was asked about";
  EXPECT_EQ(ask(threaded), everything) << "a thread, after a forked process was asked about";
  EXPECT_EQ(ask(forked), nothing) << "a forked process, once more";
}

TEST_F(WhatIsShared, FindsEveryPointBetweenAProcessAndAThread) {
  for (int unit : {0, CLONE_VM, CLONE_VM | CLONE_THREAD}) {
    for (int descriptors : {0, CLONE_FILES}) {
      for (int working_directory : {0, CLONE_FS}) {
        int flags = unit | descriptors | working_directory;
        EXPECT_EQ(ask(cloned(flags)), shared_by(flags)) << "a unit made by " << name_of(flags);
      }
    }
  }
}

TEST_F(WhatIsShared, TellsGlobalsHeapAndStackApart) {
  Launcher process = cloned(0);  // it has a copy of all memory but what was mapped MAP_SHARED
  Sharing answer = nothing;
  {
    partly_shared_memory::SharedGlobals globals;
    answer = ask(process);
  }
  EXPECT_EQ(answer, (Sharing{.memory = true})) << "global variables in MAP_SHARED memory, heap and stack copied";
  {
    partly_shared_memory::SharedHeap heap;
    answer = ask(process);
  }
  EXPECT_EQ(answer, (Sharing{.heap = true})) << "heap in MAP_SHARED memory, global variables and stack copied";
  partly_shared_memory::on_shared_stack([&] { answer = ask(process); });
  EXPECT_EQ(answer, (Sharing{.stack = true})) << "stack in MAP_SHARED memory, global variables and heap copied";
}

TEST_F(WhatIsShared, FindsASharedWorkingDirectoryFromAnywhere) {
  for (const char* start : {"/", "/tmp", "/proc", "/dev", "/usr", "/etc"}) {
    if (chdir(start) != 0) continue;
    EXPECT_EQ(ask(cloned(CLONE_FS)), shared_by(CLONE_FS))
        << "called in " << start << ", the unit made by clone(CLONE_FS)";
  }
}

TEST_F(WhatIsShared, PassesOnTheExceptionOfTheLauncher) {
  Launcher fails = [](const std::function<void()>&) {
    throw std::system_error(EAGAIN, std::generic_category(), "no more processes");
  };
  try {
    ask(fails);
    ADD_FAILURE() << "the launcher threw std::system_error, so what_is_shared must throw it too";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the exception is the one that the launcher threw";
  }
}

TEST_F(WhatIsShared, LeavesAllAsItWasWhenTheLauncherThrows) {
  std::string before = directory();
  auto descriptors = flags_of_descriptors();
  Launcher runs_it_and_fails = [](const std::function<void()>& callable) {
    called(callable);
    throw std::runtime_error("the unit could not be waited for");
  };
  EXPECT_THROW(ask(runs_it_and_fails), std::runtime_error) << "what the launcher threw, after the callable had run";
  EXPECT_EQ(directory(), before) << "the creator's working directory, after an exception of the launcher";
  EXPECT_EQ(flags_of_descriptors(), descriptors) << "the creator's descriptors and their flags, after an exception";
}

TEST_F(WhatIsShared, RefusesALauncherThatDoesNotLaunch) {
  EXPECT_THROW(ask(Launcher()), std::invalid_argument) << "an empty launcher";
  EXPECT_THROW(ask([](const std::function<void()>&) {}), std::invalid_argument)
      << "a launcher that returned and had not run the callable: nothing was found out, so there is no answer";
}
