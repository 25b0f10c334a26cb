#include <descriptor_hygiene.hpp>

#include "exercise/test.hpp"

using interleave::changes;
using interleave::descriptor_table;
using interleave::DescriptorReporter;
using interleave::DescriptorTable;
using interleave::FailureKind;
using interleave::in_parent;
using testing::IsEmpty;

namespace {

// An open descriptor of the test: close-on-exec, so that it is the function under test that lets it through.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {
    if (number_ < 0) throw std::system_error(errno, std::generic_category(), "the test cannot open a descriptor");
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

// A file in memory, with its position at `position`: a duplicate of the descriptor has the same.
Descriptor memory_file(const char* name, off_t position = 0) {
  Descriptor file(memfd_create(name, MFD_CLOEXEC));
  lseek(file.number(), position, SEEK_SET);
  return file;
}

std::string contents(const Descriptor& file) {
  std::string text(4096, '\0');
  ssize_t got = pread(file.number(), text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

struct ThreeFiles {
  Descriptor in = memory_file("in", 11), out = memory_file("out", 22), err = memory_file("err", 33);
  StandardStreams streams() const { return {in.number(), out.number(), err.number()}; }
};

int wait_for(pid_t pid) {
  int status = -1;
  pid_t ended = waitpid(pid, &status, 0);
  EXPECT_EQ(ended, pid) << "the pid that spawn_with_descriptors returns is a child that the caller can wait for";
  return status;
}

// Starts the reporter with these streams, waits for it and says what it was started with.
DescriptorTable table_of_child(const StandardStreams& streams) {
  DescriptorReporter reporter;
  int status = wait_for(in_parent([&] { return spawn_with_descriptors(reporter.command(), streams); }));
  EXPECT_EQ(status, 0) << "the wait status of the child: it says what it was started with and ends with 0, if it is "
                          "executed at all";
  return reporter.report();
}

// The child's 0, 1 and 2 are what the caller had as `streams`: the same open files with the same positions.
void expect_streams(const DescriptorTable& child, const DescriptorTable& caller, const StandardStreams& streams) {
  std::string call = "with {.in = " + std::to_string(streams.in) + ", .out = " + std::to_string(streams.out) +
                     ", .err = " + std::to_string(streams.err) + "}: ";
  int place = 0;
  for (int source : {streams.in, streams.out, streams.err}) {
    auto found = child.find(place);
    if (found == child.end()) {
      ADD_FAILURE() << call << "the child's descriptor " << place << " is closed; it must be a duplicate of the "
                    << "caller's " << source;
    } else {
      const auto& wanted = caller.at(source);
      bool same_file = found->second.device == wanted.device && found->second.inode == wanted.inode;
      EXPECT_TRUE(same_file) << call << "the child's descriptor " << place << " must be a duplicate of the caller's "
                             << source << ", " << wanted.target << "; it is " << found->second.target;
      if (same_file) {
        EXPECT_EQ(found->second.position, wanted.position) << call << "the position in the child's descriptor " << place
                                                           << ": a duplicate shares it with the original";
      }
    }
    ++place;
  }
}

// Puts other files, or nothing, in the places of the caller's own 0, 1 and 2 while it lives.
class OwnStreams {
 public:
  OwnStreams() {
    std::cout.flush();
    std::fflush(nullptr);
    for (int place = 0; place < 3; ++place) {
      saved_.emplace_back(fcntl(place, F_DUPFD_CLOEXEC, 100));
      flags_[static_cast<std::size_t>(place)] = fcntl(place, F_GETFD);
    }
  }
  ~OwnStreams() {
    for (int place = 0; place < 3; ++place) {
      auto index = static_cast<std::size_t>(place);
      dup3(saved_[index].number(), place, (flags_[index] & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0);
    }
  }
  void replace(const ThreeFiles& files, int flags) {
    dup3(files.in.number(), 0, flags);
    dup3(files.out.number(), 1, flags);
    dup3(files.err.number(), 2, flags);
  }

 private:
  std::vector<Descriptor> saved_;
  std::array<int, 3> flags_;
};

int lowest_free_number() {
  Descriptor probe(memfd_create("probe", MFD_CLOEXEC));
  return probe.number();
}

// The errno with which the call throws std::system_error, 0 if it returns. A child that it did start is waited for.
int error_of(const std::vector<std::string>& command, const StandardStreams& streams) {
  try {
    wait_for(in_parent([&] { return spawn_with_descriptors(command, streams); }));
    return 0;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

}  // namespace

class SpawnWithDescriptors : public testing::Test {
 protected:
  // Numbers beyond 1024 where the machine allows them, and few enough for a solution that tries them one by one: in a
  // container the limit may be a thousand million.
  SpawnWithDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    limit_numbers(4096);
  }
  ~SpawnWithDescriptors() override { setrlimit(RLIMIT_NOFILE, &before_); }

  void limit_numbers(rlim_t count) {
    rlimit limit = before_;
    limit.rlim_cur = std::min(limit.rlim_max, count);
    setrlimit(RLIMIT_NOFILE, &limit);
    highest_number = static_cast<int>(limit.rlim_cur) - 1;
  }

  int highest_number;

 private:
  rlimit before_;
};

TEST_F(SpawnWithDescriptors, StartsTheProgramWithItsArgumentsAndTheEnvironment) {
  ThreeFiles files;
  Descriptor output = memory_file("output");
  Descriptor given(fcntl(output.number(), F_DUPFD_CLOEXEC, 3));
  setenv("INTERLEAVE_TEST_VALUE", "of the caller", 1);
  std::vector<std::string> command = {
      "/bin/sh", "-c", "printf '<%s>' \"$@\" \"$INTERLEAVE_TEST_VALUE\"; exit 7", "sh", "two words", "a;b", "*", ""};
  pid_t pid = in_parent([&] {
    return spawn_with_descriptors(command, {files.in.number(), given.number(), files.err.number()});
  });
  unsetenv("INTERLEAVE_TEST_VALUE");
  int status = wait_for(pid);
  EXPECT_EQ(contents(output), "<two words><a;b><*><><of the caller>")
      << "what a shell script printed of its four arguments and of a variable of the caller's environment";
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << "the caller gets the program's own status, exit 7";
}

TEST_F(SpawnWithDescriptors, GivesTheChildItsThreeStreams) {
  ThreeFiles files;
  DescriptorTable caller = descriptor_table();
  expect_streams(table_of_child(files.streams()), caller, files.streams());
}

TEST_F(SpawnWithDescriptors, LeavesTheCallersDescriptorsAsTheyWere) {
  ThreeFiles files;
  Descriptor inheritable(fcntl(files.in.number(), F_DUPFD, 50));
  DescriptorTable before = descriptor_table();
  table_of_child({files.in.number(), files.out.number(), inheritable.number()});
  EXPECT_THAT(changes(before, descriptor_table()), IsEmpty())
      << "the caller's descriptors after the call, compared with those before it";
}

TEST_F(SpawnWithDescriptors, ReturnsWhileTheProgramRuns) {
  ThreeFiles files;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Descriptor reading(ends[0]);
  std::optional<Descriptor> writing(ends[1]);
  // cat ends when its input does, and that is when the test closes the writing end.
  pid_t pid = in_parent([&] {
    return spawn_with_descriptors({"/bin/cat"}, {reading.number(), files.out.number(), files.err.number()});
  });
  writing.reset();
  wait_for(pid);
}

TEST_F(SpawnWithDescriptors, LeavesNothingElseOpenInTheChild) {
  ThreeFiles files;
  std::vector<Descriptor> open;
  for (int number : {3, 4, 5, 20, 21, 63, 64, 255, 256, 257, 1023, 1024, 1025, 2000}) {
    if (number < highest_number) open.emplace_back(fcntl(files.in.number(), F_DUPFD, number));
  }
  open.emplace_back(fcntl(files.in.number(), F_DUPFD, highest_number));
  open.emplace_back(fcntl(files.in.number(), F_DUPFD_CLOEXEC, 30));
  for (auto& [number, entry] : table_of_child(files.streams())) {
    EXPECT_LE(number, 2) << FailureKind::leak << "the caller's descriptor " << number << " (" << entry.target
                         << ") is open in the child";
  }
}

TEST_F(SpawnWithDescriptors, GivesOneDescriptorToSeveralStreams) {
  ThreeFiles files;
  int in = files.in.number(), out = files.out.number();
  DescriptorTable caller = descriptor_table();
  for (const StandardStreams& streams : {StandardStreams{in, out, out}, {out, in, out}, {in, in, in}}) {
    expect_streams(table_of_child(streams), caller, streams);
  }
}

TEST_F(SpawnWithDescriptors, KeepsAStreamThatIsInItsPlaceAlready) {
  ThreeFiles files;
  DescriptorTable caller, child;
  {
    OwnStreams own;
    own.replace(files, O_CLOEXEC);
    caller = descriptor_table();
    child = table_of_child({0, 1, 2});
  }
  expect_streams(child, caller, {0, 1, 2});
}

TEST_F(SpawnWithDescriptors, LetsStreamsTradePlaces) {
  ThreeFiles files;
  Descriptor another_file = memory_file("another file", 44);
  int other = another_file.number();
  for (const StandardStreams& streams : {StandardStreams{0, 2, 1},
                                         {1, 0, 2},
                                         {2, 1, 0},
                                         {1, 2, 0},
                                         {2, 0, 1},
                                         {other, 0, 1},
                                         {1, 2, other},
                                         {2, 2, 1}}) {
    DescriptorTable caller, child;
    {
      OwnStreams own;
      own.replace(files, 0);
      caller = descriptor_table();
      child = table_of_child(streams);
    }
    expect_streams(child, caller, streams);
    if (HasFailure()) return;  // one such call says it all
  }
}

TEST_F(SpawnWithDescriptors, HasNothingInheritableOrBorrowedForAMoment) {
  ThreeFiles files;
  DescriptorReporter reporter;
  limit_numbers(256);  // the watch costs a little for each call
  interleave::DescriptorWatch watch;
  pid_t pid = in_parent([&] { return spawn_with_descriptors(reporter.command(), files.streams()); });
  std::vector<std::string> remarks = watch.remarks();
  wait_for(pid);
  EXPECT_THAT(remarks, IsEmpty())
      << "what was to be seen in the caller's descriptors while spawn_with_descriptors ran; "
         "had another thread forked and executed a program then, it would have got this";
}

TEST_F(SpawnWithDescriptors, ThrowsTheErrorOfExecve) {
  ThreeFiles files;
  EXPECT_EQ(error_of({"/nowhere/no-such-program", "argument"}, files.streams()), ENOENT)
      << "std::system_error with ENOENT for a file that is not there (0: nothing was thrown)";
  EXPECT_EQ(error_of({"/dev/null"}, files.streams()), EACCES)
      << "std::system_error with EACCES for a file that cannot be executed (0: nothing was thrown)";
}

TEST_F(SpawnWithDescriptors, TakesTheProgramForAPath) {
  ThreeFiles files;
  EXPECT_EQ(error_of({"cat"}, files.streams()), ENOENT)
      << "'cat' is a file of the working directory and not there; PATH is not searched (0: nothing was thrown)";
}

TEST_F(SpawnWithDescriptors, WorksWhenTheCallersOwnStreamsAreClosed) {
  ThreeFiles files;
  DescriptorTable caller = descriptor_table();
  const std::vector<std::vector<int>> selections = {{0, 1, 2}, {0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}};
  for (const std::vector<int>& closed : selections) {
    DescriptorTable child;
    int error = 0;
    std::vector<std::string> changed;
    {
      OwnStreams own;
      for (int place : closed) close(place);
      DescriptorTable before = descriptor_table();
      child = table_of_child(files.streams());
      error = error_of({"/nowhere/no-such-program"}, files.streams());
      changed = changes(before, descriptor_table());
    }
    std::string where = "with " + testing::PrintToString(closed) + " closed in the caller: ";
    expect_streams(child, caller, files.streams());
    EXPECT_EQ(error, ENOENT) << where << "still std::system_error with ENOENT for a program that is not there (0: "
                             << "nothing was thrown)";
    EXPECT_THAT(changed, IsEmpty()) << where << "the caller's descriptors after the calls, compared with those before";
    if (HasFailure()) return;  // one such call says it all
  }
}

TEST_F(SpawnWithDescriptors, RefusesAStreamThatIsNotOpen) {
  ThreeFiles files;
  DescriptorReporter reporter;
  int in = files.in.number(), out = files.out.number(), err = files.err.number();
  // The number that the next descriptor gets, whoever opens it.
  for (int closed : {-1, lowest_free_number()}) {
    for (const StandardStreams& streams : {StandardStreams{closed, out, err}, {in, closed, err}, {in, out, closed}}) {
      EXPECT_EQ(error_of(reporter.command(), streams), EBADF)
          << "std::system_error with EBADF for {.in = " << streams.in << ", .out = " << streams.out
          << ", .err = " << streams.err << "}, where the caller has no descriptor " << closed
          << " open (0: nothing was thrown)";
    }
  }
}

TEST_F(SpawnWithDescriptors, ThrowsTheErrorOfFork) {
  ThreeFiles files;
  DescriptorReporter reporter;
  interleave::FailingFork no_more_processes(0);
  int error = error_of(reporter.command(), files.streams());
  // 0 is right for a solution that does not call fork(2) but starts its child by other means, such as posix_spawn(3).
  EXPECT_TRUE(error == EAGAIN || (error == 0 && !reporter.report().empty()))
      << "fork() failed with EAGAIN, so spawn_with_descriptors must throw std::system_error with that; the error was "
      << error << " (0: nothing was thrown)";
}

TEST_F(SpawnWithDescriptors, RefusesAnEmptyCommand) {
  ThreeFiles files;
  EXPECT_THROW(in_parent([&] { return spawn_with_descriptors({}, files.streams()); }), std::invalid_argument);
}
