#include <run_command.hpp>

#include "exercise/test.hpp"

using interleave::FailureKind;
using interleave::in_parent;

namespace {

using Arguments = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

// "..."s, for texts with NUL bytes inside.
using namespace std::string_literals;

CommandResult run(const std::string& program, const Arguments& arguments = {}, const Environment& environment = {}) {
  return in_parent([&] { return run_command(program, arguments, environment); });
}

CommandResult run_script(const std::string& script, const Arguments& arguments = {}) {
  Arguments all{"-c", script, "sh"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run("/bin/sh", all, {{"PATH", "/usr/bin:/bin"}});
}

std::string text_of(const std::variant<Exited, Signaled>& ending) {
  if (auto* exited = std::get_if<Exited>(&ending)) return "exit status " + std::to_string(exited->status);
  return "signal " + std::to_string(std::get<Signaled>(ending).signal);
}

std::vector<std::string> split(const std::string& text, char end) {
  std::vector<std::string> pieces;
  std::istringstream stream(text);
  for (std::string piece; std::getline(stream, piece, end);) pieces.push_back(piece);
  return pieces;
}

// What run_command throws for `program`, as the name of the errno; or that it did not throw.
std::string error_of(const std::string& program, const Environment& environment = {}) {
  try {
    CommandResult result = run(program, {}, environment);
    return "no exception, but a result with " + text_of(result.ending);
  } catch (const std::system_error& error) {
    return strerrorname_np(error.code().value());
  }
}

// The descriptors of this process that are open and that a program it starts would inherit; or all that are open.
std::set<int> open_descriptors(bool inherited_only) {
  std::set<int> open;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    int number = std::stoi(entry.path().filename());
    int flags = fcntl(number, F_GETFD);
    if (flags >= 0 && (!inherited_only || (flags & FD_CLOEXEC) == 0)) open.insert(number);
  }
  return open;
}

// While it lives, this process can open `spare` more descriptors, and then gets EMFILE.
class FewDescriptors {
 public:
  explicit FewDescriptors(int spare) {
    getrlimit(RLIMIT_NOFILE, &before_);
    int last = *open_descriptors(false).rbegin();
    // Fills the gaps below the last one.
    for (int copy = fcntl(0, F_DUPFD_CLOEXEC, 0); copy >= 0; copy = fcntl(0, F_DUPFD_CLOEXEC, 0)) {
      if (copy > last) {
        close(copy);
        break;
      }
      fillers_.push_back(copy);
    }
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(last + 1 + spare);
    setrlimit(RLIMIT_NOFILE, &few);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() {
    setrlimit(RLIMIT_NOFILE, &before_);
    for (int copy : fillers_) close(copy);
  }

 private:
  rlimit before_{};
  std::vector<int> fillers_;
};

// While it lives, `text` can be read from this process's standard input.
class StandardInput {
 public:
  explicit StandardInput(const std::string& text) : before_(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)) {
    int file = memfd_create("input", MFD_CLOEXEC);
    EXPECT_EQ(pwrite(file, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    dup2(file, STDIN_FILENO);
    close(file);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;
  ~StandardInput() {
    dup2(before_, STDIN_FILENO);
    close(before_);
  }

 private:
  int before_;
};

// While it lives, this process works in another directory.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::string& path) : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(path);
  }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;
  ~WorkingDirectory() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_;
};

// For scripts whose first argument is the id of this process. See proc(5) for the fields of /proc/<id>/stat; processor
// time is in hundredths of a second.
const std::string shell_functions = R"(
look() {
  read -r pid name state parent group session terminal foreground flags minor cminor major cmajor user system rest \
    < /proc/$1/stat
  used=$((user + system))
}

# Works for 15 hundredths and looks at what the process $1 uses meanwhile. Ends the script with status $2 if that was 3
# or more three times running; once could be a virtual machine that charges a process for what it took from it.
watch() {
  for chance in 1 2 3; do
    look $1
    limit=$((used + 3))
    look $$
    end=$((used + 15))
    while [ $used -lt $end ]; do look $$; done
    look $1
    if [ $used -lt $limit ]; then return; fi
  done
  exit $2
}

# Returns when the process $1 is blocked; ends the script should it never be, and use a second instead.
until_it_is_blocked() {
  look $1
  limit=$((used + 100))
  while [ "$state" != S ]; do
    look $1
    if [ $used -ge $limit ]; then exit 99; fi
  done
}
)";

}  // namespace

TEST(RunCommand, ReturnsWhenTheProgramHasEndedAndLeavesNothingBehind) {
  // What is left after a test is found after every test; this one does nothing else, so that it is found here.
  EXPECT_EQ(run("/bin/echo", {"hello"}).out, "hello\n") << "standard output of: /bin/echo hello";
}

TEST(RunCommand, PassesEachArgumentAsItIs) {
  const Arguments arguments{"two words", "",  "; echo injected",   "$(echo injected)",
                            "new\nline", "*", "it's \"quoted\" \\"};
  Arguments all{"%s|"};  // printf(1) repeats its format for each argument
  all.insert(all.end(), arguments.begin(), arguments.end());
  EXPECT_THAT(split(run("/usr/bin/printf", all).out, '|'), testing::ElementsAreArray(arguments))
      << "the arguments as the program saw them; no shell may have read them";
  EXPECT_EQ(run("/bin/sh", {"-c", "echo $0"}).out, "/bin/sh\n") << "argv[0] as the program saw it: its own path";
}

TEST(RunCommand, KeepsEveryByteOfEachStream) {
  CommandResult result = run_script(R"(printf 'to\0out\377'; printf 'to\0err\n\n' >&2)");
  EXPECT_EQ(result.out, "to\0out\377"s) << "standard output of: printf 'to\\0out\\377'; printf 'to\\0err\\n\\n' >&2";
  EXPECT_EQ(result.err, "to\0err\n\n"s) << "standard error of the same";
}

TEST(RunCommand, ReportsEveryExitStatusAsAnExitStatus) {
  // Among them what errors and signals look like elsewhere: ENOENT, ENOEXEC, EACCES, the shell's 126, 127 and 128 + n.
  for (int status : {0, 1, 2, 8, 13, 126, 127, 128 + SIGKILL, 255}) {
    EXPECT_EQ(text_of(run_script("exit " + std::to_string(status)).ending), "exit status " + std::to_string(status))
        << "the ending of: /bin/sh -c 'exit " << status << "'";
  }
}

TEST(RunCommand, ReportsASignalAsASignal) {
  for (int signal : {SIGKILL, SIGTERM}) {
    CommandResult result = run_script("echo before; kill -" + std::to_string(signal) + " $$");
    EXPECT_EQ(text_of(result.ending), "signal " + std::to_string(signal)) << "the ending of a program that was killed";
    EXPECT_EQ(result.out, "before\n") << "what it wrote before it was killed";
  }
}

TEST(RunCommand, ThrowsTheErrorOfExec) {
  EXPECT_EQ(error_of("/no/such/program"), "ENOENT");
  EXPECT_EQ(error_of(""), "ENOENT");
  EXPECT_EQ(error_of("/"), "EACCES") << "a directory cannot be executed";
  EXPECT_EQ(error_of("/etc/passwd"), "EACCES") << "a file without the permission to execute it";

  // A file that may be executed but is no program, and has no "#!" either. Where the system lets nobody execute such
  // files unless they ask for it (vm.memfd_noexec), ask.
  constexpr unsigned executable = 0x0010;  // MFD_EXEC, Linux 6.3
  int file = memfd_create("script", MFD_CLOEXEC | executable);
  if (file < 0) file = memfd_create("script", MFD_CLOEXEC);
  EXPECT_EQ(write(file, "exit 0\n", 7), 7);
  std::string path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(file);
  EXPECT_EQ(error_of(path), "ENOEXEC") << "a text file that does not say which interpreter it is for";
  close(file);
}

TEST(RunCommand, TakesTheProgramForAPathAndDoesNotSearchForIt) {
  const Environment environment{{"PATH", "/usr/bin:/bin"}};
  {
    WorkingDirectory directory("/bin");
    EXPECT_EQ(in_parent([&] { return run_command("echo", {"here"}, environment); }).out, "here\n")
        << "'echo' with /bin as the working directory: a relative path starts there";
  }
  WorkingDirectory directory("/");
  EXPECT_EQ(error_of("echo", environment), "ENOENT")
      << "'echo' with / as the working directory: it is in PATH, but PATH is not searched";
}

TEST(RunCommand, GivesTheProgramTheEnvironmentAndNothingElse) {
  setenv("OF_THE_CALLER", "secret", 1);
  const Environment environment{{"EMPTY", ""}, {"EQUATION", "a=b"}, {"LINES", "one\ntwo"}};
  std::string seen = run("/bin/cat", {"/proc/self/environ"}, environment).out;
  std::string seen_without = run("/bin/cat", {"/proc/self/environ"}, {}).out;
  EXPECT_THAT(split(seen, '\0'), testing::UnorderedElementsAre("EMPTY=", "EQUATION=a=b", "LINES=one\ntwo"))
      << "the program's variables: those it was given and no others";
  EXPECT_EQ(seen_without, "") << "the program's variables when it was given none";
}

TEST(RunCommand, GivesTheProgramDevNullToRead) {
  StandardInput of_the_caller("a line for the caller alone\n");
  CommandResult result = run_script("cat; [ /proc/self/fd/0 -ef /dev/null ]");
  EXPECT_EQ(result.out, "") << "what the program read from its standard input";
  EXPECT_EQ(text_of(result.ending), "exit status 0") << "status 1: the program's standard input is not /dev/null";
}

TEST(RunCommand, GivesTheProgramNoOtherDescriptorOfItsOwn) {
  std::set<int> allowed = open_descriptors(true);
  allowed.insert({0, 1, 2});
  // The pattern's own directory is closed again by the time the names are looked at.
  CommandResult result = run_script("for each in /proc/$$/fd/*; do if [ -e $each ]; then echo ${each##*/}; fi; done");
  for (const std::string& number : split(result.out, '\n')) {
    EXPECT_TRUE(allowed.contains(std::stoi(number)))
        << "descriptor " << number << " was open in the program: one that run_command had opened for itself";
  }
}

TEST(RunCommand, CapturesMoreThanAPipeHolds) {
  std::string out = run_script("head -c 4194304 /dev/zero").out;
  EXPECT_EQ(out.size(), 4194304u) << "bytes captured of 4 MiB on standard output; a pipe holds 64 KiB";
  EXPECT_TRUE(out == std::string(out.size(), '\0')) << "4 MiB of zeros, and nothing else";
}

TEST(RunCommand, CapturesBothStreamsAtTheSameTime) {
  CommandResult result =
      run_script("head -c 1048576 /dev/zero >&2; head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2");
  EXPECT_EQ(result.out.size(), 1048576u) << "bytes captured of 1 MiB on standard output";
  EXPECT_EQ(result.err.size(), 2097152u) << "bytes captured of 2 MiB on standard error";
}

TEST(RunCommand, SleepsWhileThereIsNothingToDo) {
  CommandResult result = run_script(shell_functions + R"(
exec 1>&-
watch $1 11
exec 2>&-
watch $1 12)",
                                    {std::to_string(getpid())});
  std::string ending = text_of(result.ending);
  EXPECT_NE(ending, "exit status 11") << FailureKind::limit_exceeded
                                      << "the caller used processor time after the program had closed its standard "
                                         "output: with its standard error still open, there was nothing to do";
  EXPECT_NE(ending, "exit status 12") << FailureKind::limit_exceeded
                                      << "the caller used processor time after the program had closed both streams: "
                                         "until it has ended, there is nothing to do";
}

TEST(RunCommand, IsNotDisturbedBySignalHandlers) {
  // The handler stays for good, so that a program that a wrong answer left running cannot end the tests.
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART: read, poll, waitpid and others fail with EINTR
  sigaction(SIGUSR1, &action, nullptr);
  // Each signal is sent when this process is blocked: first for output, then for the end of the program.
  CommandResult result = run_script(shell_functions + R"(
twenty_signals() {
  for each in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    until_it_is_blocked $1
    kill -USR1 $1
  done
}
twenty_signals $1
echo 'after the first signals'
exec 1>&- 2>&-
twenty_signals $1
exit 7)",
                                    {std::to_string(getpid())});
  EXPECT_EQ(result.out, "after the first signals\n") << "output after signal handlers had run in the caller";
  EXPECT_EQ(text_of(result.ending), "exit status 7") << "the ending after signal handlers had run in the caller";
}

TEST(RunCommand, LeavesOtherChildrenAlone) {
  pid_t other = fork();
  if (other == 0) _exit(9);
  siginfo_t info{};
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(other), &info, WEXITED | WNOWAIT), 0);  // ended, but not yet waited for
  std::string ending = text_of(run_script("exit 3").ending);
  int status = 0;
  EXPECT_EQ(waitpid(other, &status, 0), other) << "the caller's other child was waited for by run_command";
  EXPECT_EQ(ending, "exit status 3") << "the ending of the program, not of the caller's other child";
}

TEST(RunCommand, LeavesNothingBehindWhenForkFails) {
  interleave::FailingFork fork_fails(0);
  try {
    // An answer that starts programs by another call than fork() is not hit, and must do its work.
    EXPECT_EQ(run("/bin/echo", {"hello"}).out, "hello\n") << "fork() failed and nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the code of the exception is the error of fork()";
  }
}

TEST(RunCommand, LeavesNothingBehindWhenDescriptorsRunOut) {
  bool succeeded = false;
  for (int spare = 0; spare < 64 && !succeeded; ++spare) {
    FewDescriptors few(spare);
    try {
      EXPECT_EQ(run("/bin/echo", {"hello"}).out, "hello\n") << spare << " descriptors could be opened";
      succeeded = true;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EMFILE) << "only " << spare << " descriptors could be opened";
    }
  }
  EXPECT_TRUE(succeeded) << "64 descriptors are enough for one program";
}

TEST(RunCommand, RefusesWhatCannotBePassedOn) {
  auto refuses = [](const std::string& program, const Arguments& arguments, const Environment& environment) {
    try {
      run(program, arguments, environment);
      return false;
    } catch (const std::invalid_argument&) {
      return true;
    }
  };
  EXPECT_TRUE(refuses("/bin/echo\0.txt"s, {}, {})) << "a NUL byte in the program";
  EXPECT_TRUE(refuses("/bin/echo", {"safe\0.txt"s}, {})) << "a NUL byte in an argument";
  EXPECT_TRUE(refuses("/bin/echo", {}, {{"NA\0ME"s, "value"}})) << "a NUL byte in the name of a variable";
  EXPECT_TRUE(refuses("/bin/echo", {}, {{"NAME", "val\0ue"s}})) << "a NUL byte in the value of a variable";
  EXPECT_TRUE(refuses("/bin/echo", {}, {{"", "value"}})) << "a variable without a name";
  EXPECT_TRUE(refuses("/bin/echo", {}, {{"NA=ME", "value"}})) << "a variable whose name contains '='";
}
