#include <sys/prctl.h>

#include <isolated_call.hpp>

#include "exercise/test.hpp"

using interleave::in_parent;
using interleave::Shared;

namespace {

// For the messages: what kind of result it is, and what is in it.
std::string told(const IsolatedResult& result) {
  auto text = [](const std::string& bytes) {
    std::string shown = "\"";
    for (char byte : bytes.substr(0, 60)) shown += byte >= ' ' && byte <= '~' ? byte : '?';
    return shown + (bytes.size() > 60 ? "..." : "") + "\", " + std::to_string(bytes.size()) + " bytes}";
  };
  if (auto* returned = std::get_if<Returned>(&result)) return "Returned{" + text(returned->value);
  if (auto* threw = std::get_if<Threw>(&result)) return "Threw{" + text(threw->message);
  if (auto* crashed = std::get_if<Crashed>(&result)) return "Crashed{" + std::to_string(crashed->signal) + "}";
  if (auto* exited = std::get_if<Exited>(&result)) return "Exited{" + std::to_string(exited->status) + "}";
  return "a variant without a value";
}

testing::AssertionResult is(const IsolatedResult& result, const IsolatedResult& expected) {
  bool same = result.index() == expected.index() && std::visit(
                                                        [&](const auto& wanted) {
                                                          const auto& [right] = wanted;
                                                          const auto& [given] =
                                                              std::get<std::decay_t<decltype(wanted)>>(result);
                                                          return given == right;
                                                        },
                                                        expected);
  if (same) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "your result is " << told(result) << "; it must be " << told(expected);
}

IsolatedResult call(const std::function<std::string()>& function) {
  return in_parent([&] { return isolated_call(function); });
}

// Ends this process by a signal, as if nobody had asked for it: no handler, no mask, no core file.
void die_of(int signal) {
  ::prctl(PR_SET_DUMPABLE, 0);
  ::signal(signal, SIG_DFL);
  sigset_t alone;
  sigemptyset(&alone);
  sigaddset(&alone, signal);
  sigprocmask(SIG_UNBLOCK, &alone, nullptr);
  raise(signal);
}

// What another process's main thread is doing.
struct Activity {
  char state = '?';            // '?' if there is no such process any more
  long ticks = 0;              // of processor time it has used
  bool blocks_sigurg = false;  // it may take the signal in another way, or later
};

Activity activity_of(pid_t pid) {
  std::string directory = "/proc/" + std::to_string(pid);
  Activity activity;
  std::ifstream stat_file(directory + "/stat");
  std::string line, word;
  std::getline(stat_file, line);
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  fields >> activity.state;
  for (int field = 4; field <= 13; ++field) fields >> word;  // proc_pid_stat(5): 14 and 15 are what we want
  long user = 0, system = 0;
  fields >> user >> system;
  activity.ticks = user + system;
  std::ifstream status_file(directory + "/status");
  while (status_file >> word) {
    if (word != "SigBlk:") continue;
    status_file >> word;
    activity.blocks_sigurg = (std::stoull(word, nullptr, 16) >> (SIGURG - 1) & 1) != 0;
  }
  return activity;
}

// While it lives, SIGURG is handled here and the system calls that it meets return EINTR. Without a handler SIGURG does
// nothing, so one that comes late harms nobody.
class Interruption {
 public:
  Interruption() {
    handled_ = &*counter_;
    struct sigaction action {};
    action.sa_handler = [](int) { ++*handled_; };
    ::sigaction(SIGURG, &action, &before_);
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption() { ::sigaction(SIGURG, &before_, nullptr); }

  // In the child: waits until the caller sleeps, interrupts it, and returns when it has handled that. A caller that
  // does not sleep but goes round and round is let go when it has used half a second of processor time.
  void interrupt_the_sleep_of(pid_t caller) const {
    long limit = activity_of(caller).ticks + ::sysconf(_SC_CLK_TCK) / 2;
    bool sent = false;
    while (*counter_ == 0) {
      Activity now = activity_of(caller);
      if (now.state == '?' || now.ticks > limit || (sent && now.blocks_sigurg)) return;
      if (now.state == 'S' && !sent) sent = ::kill(caller, SIGURG) == 0;
      ::sched_yield();
    }
  }

 private:
  static inline std::atomic<int>* handled_ = nullptr;
  Shared<std::atomic<int>> counter_;
  struct sigaction before_ {};
};

// What crashes, exits, signals and a full pipe would do to the caller itself is nothing to find out, so the tests of
// these ask this first.
bool has_memory_of_its_own() {
  int number = 1;
  call([&] {
    number = 2;
    return std::string();
  });
  return number == 1;
}

// Counts the calls of an exit handler in whatever process it runs.
std::atomic<int>* exit_handler_calls = nullptr;
void count_exit_handler_call() {
  if (exit_handler_calls != nullptr) ++*exit_handler_calls;
}

}  // namespace

TEST(IsolatedCall, ReturnsTheValueOfTheFunction) {
  Shared<std::atomic<int>> calls;
  IsolatedResult result = call([&] {
    ++*calls;
    return std::string("forty-two");
  });
  EXPECT_TRUE(is(result, Returned{"forty-two"})) << "the function returned \"forty-two\"";
  EXPECT_EQ(*calls, 1) << "calls of the function in all processes together";
}

TEST(IsolatedCall, LeavesTheMemoryOfTheCallerAlone) {
  int number = 1;
  auto address = [&] { return std::to_string(reinterpret_cast<std::uintptr_t>(&number)); };
  IsolatedResult result = call([&] {
    number = 2;
    return address() + " holds " + std::to_string(number);
  });
  EXPECT_TRUE(is(result, Returned{address() + " holds 2"})) << "the function wrote 2 and saw 2, at this address";
  EXPECT_EQ(number, 1) << "at the same address in the caller: the function's write must not reach the caller's memory";
}

TEST(IsolatedCall, BringsBackEveryByteOfTheValue) {
  std::vector<std::string> values = {"", std::string("a\0b\0", 4), std::string(5, '\0'), "\n", "\r\n"};
  // What a protocol might begin its own messages with.
  for (const char* start : {"exception", "Exception", "EXCEPTION", "error", "Error", "ERROR", "ERR", "what", "threw",
                            "Threw", "value", "Value", "VALUE", "OK", "ok", "unknown exception"}) {
    for (const char* separator : {"", ":", ": ", " ", "\n", "|"}) {
      if (interleave::under_sanitizer && *separator != ':') continue;
      values.push_back(std::string(start) + separator + "5");
    }
  }
  for (int byte = 0; byte < 256; byte += interleave::under_sanitizer ? 51 : 1)
    values.push_back(std::string(1, static_cast<char>(byte)) + "123456789");
  for (const std::string& value : values) {
    ASSERT_TRUE(is(call([&] { return value; }), Returned{value})) << "a value may have any bytes, or none";
  }
}

TEST(IsolatedCall, BringsBackAValueLargerThanAPipe) {
  ASSERT_TRUE(has_memory_of_its_own()) << "see IsolatedCall.LeavesTheMemoryOfTheCallerAlone first";
  std::string value(16 * 1024 * 1024 + 3, '\0');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i % 251);
  EXPECT_TRUE(is(call([&] { return value; }), Returned{value}))
      << "a pipe holds 64 KiB, and read() gives what is there: both sides must be at work until the last byte";
}

TEST(IsolatedCall, BringsBackTheMessageOfAnException) {
  ASSERT_TRUE(has_memory_of_its_own()) << "see IsolatedCall.LeavesTheMemoryOfTheCallerAlone first";
  for (const std::string& message : {std::string("disk full"), std::string(), std::string(1'000'000, 'x')}) {
    IsolatedResult result = call([&]() -> std::string { throw std::runtime_error(message); });
    ASSERT_TRUE(is(result, Threw{message})) << "the function threw std::runtime_error; the message is its what()";
  }
}

TEST(IsolatedCall, BringsBackAnExceptionThatIsNoStdException) {
  EXPECT_TRUE(is(call([]() -> std::string { throw 42; }), Threw{"unknown exception"}))
      << "the function threw an int, which has no what()";
}

TEST(IsolatedCall, TellsACrashByItsSignal) {
  ASSERT_TRUE(has_memory_of_its_own()) << "see IsolatedCall.LeavesTheMemoryOfTheCallerAlone first";
  for (int signal : {SIGKILL, SIGSEGV, SIGABRT, SIGTERM}) {
    IsolatedResult result = call([&] {
      die_of(signal);
      return std::string("not reached");
    });
    ASSERT_TRUE(is(result, Crashed{signal})) << "signal " << signal << " ended the process (waitpid(2): WIFSIGNALED)";
  }
}

TEST(IsolatedCall, TellsTheStatusOfAFunctionThatExits) {
  ASSERT_TRUE(has_memory_of_its_own()) << "see IsolatedCall.LeavesTheMemoryOfTheCallerAlone first";
  for (int status = 0; status < 256; status += interleave::under_sanitizer ? 51 : 1) {
    IsolatedResult result = call([&]() -> std::string { ::_exit(status); });
    ASSERT_TRUE(is(result, Exited{status})) << "the function called _exit(" << status << ") and returned nothing";
  }
}

TEST(IsolatedCall, IsNotDisturbedByASignalHandler) {
  ASSERT_TRUE(has_memory_of_its_own()) << "see IsolatedCall.LeavesTheMemoryOfTheCallerAlone first";
  Interruption interruption;
  IsolatedResult result = call([&, caller = getpid()] {
    interruption.interrupt_the_sleep_of(caller);
    return std::string("value");
  });
  EXPECT_TRUE(is(result, Returned{"value"})) << "a signal handler ran in the caller while it waited (signal(7): EINTR)";
}

TEST(IsolatedCall, WaitsForTheEndOfTheProcessAndNotOfItsDescriptors) {
  ASSERT_TRUE(has_memory_of_its_own()) << "see IsolatedCall.LeavesTheMemoryOfTheCallerAlone first";
  Interruption interruption;
  IsolatedResult result = call([&, caller = getpid()]() -> std::string {
    for (int descriptor = 3; descriptor < 4096; ++descriptor) ::close(descriptor);
    // Whoever reads from this process has seen the end of the file now, and goes to sleep in the next wait.
    interruption.interrupt_the_sleep_of(caller);
    ::_exit(7);
  });
  EXPECT_TRUE(is(result, Exited{7})) << "the function closed all descriptors, a signal handler ran in the caller "
                                        "(signal(7): EINTR), and then the function called _exit(7)";
}

TEST(IsolatedCall, LeavesOtherChildrenOfTheCallerAlone) {
  pid_t other = ::fork();
  ASSERT_GE(other, 0);
  if (other == 0) ::_exit(9);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(other), &ended, WEXITED | WNOWAIT), 0);  // ended, and still to be reaped
  EXPECT_TRUE(is(call([] { return std::string("mine"); }), Returned{"mine"}))
      << "another child had ended with status 9";
  int status = 0;
  EXPECT_EQ(::waitpid(other, &status, 0), other)
      << "the caller's other child must still be there to be waited for: wait for your own process only";
}

TEST(IsolatedCall, DoesNotRunTheCallersExitHandlers) {
  static Shared<std::atomic<int>> calls;
  *calls = 0;
  exit_handler_calls = &*calls;
  static bool registered = std::atexit(count_exit_handler_call) == 0;
  ASSERT_TRUE(registered);
  call([] { return std::string("value"); });
  call([]() -> std::string { throw std::runtime_error("exception"); });
  exit_handler_calls = nullptr;
  EXPECT_EQ(*calls, 0) << "exit handlers of the caller that ran in the process; it must end without them";
}

TEST(IsolatedCall, DoesNotWriteTheCallersBufferedOutputAgain) {
  int descriptor = memfd_create("output", MFD_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  FILE* output = fdopen(descriptor, "w");
  std::fputs("once\n", output);  // stays in the buffer of `output`, and so in the copy that the process has of it
  call([] { return std::string("value"); });
  std::fflush(output);
  struct stat status {};
  fstat(descriptor, &status);
  std::fclose(output);
  EXPECT_EQ(status.st_size, 5) << "bytes written: the line 'once' that the caller had buffered must be written by the "
                                  "caller alone";
}

TEST(IsolatedCall, LeavesNothingBehindWhenTheProcessCannotBeStarted) {
  interleave::FailingFork fork_fails(0);
  try {
    IsolatedResult result = call([] { return std::string("not reached"); });
    ADD_FAILURE() << "fork() failed with EAGAIN, so isolated_call must throw std::system_error; it returned "
                  << told(result);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the code of the exception is the error of fork()";
  }
}
