#include <framed_pipe.hpp>

#include "exercise/test.hpp"

#include <sys/socket.h>

using interleave::FailureKind;
using interleave::in_parent;
using interleave::Onlooker;

namespace {

using namespace std::string_literals;

// A pipe that holds one page, or a connected pair of stream sockets; what is still open goes with it.
struct Channel {
  int reading = -1, writing = -1;

  enum Kind { pipe, socket };
  explicit Channel(Kind kind = pipe, int flags = 0) {
    int ends[2] = {-1, -1};
    int made = kind == pipe ? pipe2(ends, O_CLOEXEC | flags) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    EXPECT_EQ(made, 0) << "the test cannot open a pipe: " << strerror(errno);
    reading = ends[0], writing = ends[1];
    if (kind == pipe) fcntl(writing, F_SETPIPE_SZ, 4096);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() { close_reading(), close_writing(); }

  void close_reading() { close_end(reading); }
  void close_writing() { close_end(writing); }

  // For what fits in.
  void put(std::string_view bytes) const {
    EXPECT_EQ(::write(writing, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // The next `size` bytes, or fewer if the stream ends.
  std::string take(std::size_t size) const {
    std::string bytes(size, '\0');
    std::size_t had = 0;
    while (had < size) {
      pollfd ready{reading, POLLIN, 0};
      poll(&ready, 1, -1);
      ssize_t count = ::read(reading, bytes.data() + had, size - had);
      if (count <= 0) break;
      had += static_cast<std::size_t>(count);
    }
    bytes.resize(had);
    return bytes;
  }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(std::exchange(end, -1));
  }
};

std::string length_of(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i, length >>= 8) bytes += static_cast<char>(length & 0xff);
  return bytes;
}
std::string frame(const std::string& message) { return length_of(message.size()) + message; }

// Every byte there is, and more than a page of them.
std::string long_message(std::size_t size = 20'000) {
  std::string message(size, '\0');
  for (std::size_t i = 0; i < size; ++i) message[i] = static_cast<char>(i * 7 + i / 256);
  return message;
}

// What read_message does, in words that can be compared.
std::string outcome_of(FrameReader& reader) {
  try {
    std::optional<std::string> message = in_parent([&] { return reader.read_message(); });
    if (!message) return "the end";
    return "a message of " + std::to_string(message->size()) + " bytes";
  } catch (const TruncatedMessage&) {
    return "TruncatedMessage";
  } catch (const OversizedMessage&) {
    return "OversizedMessage";
  } catch (const std::system_error& error) {
    const char* name = strerrorname_np(error.code().value());
    return "system_error with "s + (name != nullptr ? name : "an unknown number");
  }
}

int error_of_writing(FrameWriter& writer, const std::string& message) {
  try {
    in_parent([&] { writer.write_message(message); });
    return 0;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

// While it lives, a handler counts a signal; system calls that it interrupts fail with EINTR (no SA_RESTART).
std::atomic<int> handler_calls = 0;
class CountingHandler {
 public:
  explicit CountingHandler(int signal) : signal_(signal) {
    handler_calls = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { ++handler_calls; };
    sigaction(signal_, &action, &before_);
  }
  CountingHandler(const CountingHandler&) = delete;
  CountingHandler& operator=(const CountingHandler&) = delete;
  ~CountingHandler() { sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_ {};
};

bool sleeps(Onlooker& it, const char* call) {
  Onlooker::Sight sight = it.wait_until_asleep();
  if (sight.what == Onlooker::busy) {
    it.fail(FailureKind::limit_exceeded, std::string(call) + " uses the processor while it waits; it must sleep");
  }
  return sight.what == Onlooker::asleep;
}

bool is_in(int signal, int (*fill)(sigset_t*)) {
  sigset_t set;
  fill(&set);
  return sigismember(&set, signal) == 1;
}
bool sigpipe_is_pending() { return is_in(SIGPIPE, sigpending); }
bool sigpipe_is_blocked() {
  return is_in(SIGPIPE, [](sigset_t* set) { return pthread_sigmask(SIG_BLOCK, nullptr, set); });
}

}  // namespace

TEST(FrameWriter, WritesTheLengthInEightBytesAndThenTheMessage) {
  Channel channel;
  FrameWriter writer(channel.writing);
  std::string expected;
  for (const std::string& message : {"abc"s, ""s, "a\0b"s, long_message(1000)}) {
    in_parent([&] { writer.write_message(message); });
    expected += frame(message);
  }
  channel.close_writing();
  EXPECT_EQ(channel.take(2 * expected.size()), expected) << "the bytes on the stream for messages of 3, 0, 3 and 1000 "
                                                            "bytes: each with its length in 8 bytes before it";
}

TEST(FrameWriter, LeavesTheDescriptorToTheCaller) {
  for (int flags : {0, O_NONBLOCK}) {
    Channel channel(Channel::pipe, flags);
    int before = fcntl(channel.writing, F_GETFL);
    {
      FrameWriter writer(channel.writing);
      std::string message = long_message();
      Onlooker onlooker([&](Onlooker& it) {
        if (!sleeps(it, "write_message")) return;
        EXPECT_EQ(fcntl(channel.writing, F_GETFL), before) << "the flags of the descriptor while write_message waits";
        channel.take(message.size() + 8);
      });
      EXPECT_EQ(error_of_writing(writer, message), 0) << "the errno that was thrown; the pipe was only full";
    }
    EXPECT_EQ(fcntl(channel.writing, F_GETFL), before) << "the flags of the descriptor afterwards (-1: it was closed)";
  }
}

TEST(FrameWriter, WritesTheRestAfterASignal) {
  Channel channel;
  CountingHandler handler(SIGUSR1);
  FrameWriter writer(channel.writing);
  std::string message = long_message(), received;
  pthread_t caller = pthread_self();
  Onlooker onlooker([&](Onlooker& it) {
    // The first signal makes write(2) return with a part of the message, the second makes it fail with EINTR.
    // Each has had its effect when the caller is asleep again: nothing is read from the pipe before.
    for (int signals = 0; sleeps(it, "write_message") && signals < 2; ++signals) pthread_kill(caller, SIGUSR1);
    received = channel.take(message.size() + 8);
  });
  EXPECT_EQ(error_of_writing(writer, message), 0) << "the errno that was thrown; a signal handler ran, that is all";
  channel.close_writing();
  onlooker.call_is_over();
  EXPECT_TRUE(received == frame(message)) << received.size() << " bytes on the stream for a message of "
                                          << message.size() << "; a signal handler had run while the pipe was full";
}

TEST(FrameWriter, ThrowsWhenTheOtherEndIsClosed) {
  ::signal(SIGPIPE, SIG_DFL);  // ends the process, unless whoever started it has had it ignored
  for (Channel::Kind kind : {Channel::pipe, Channel::socket}) {
    Channel channel(kind);
    channel.close_reading();
    FrameWriter writer(channel.writing);
    EXPECT_EQ(error_of_writing(writer, "nobody reads this"), EPIPE) << "the errno that was thrown (0: none)";
  }
}

TEST(FrameWriter, LeavesTheSignalsOfTheCallerAsTheyWere) {
  for (Channel::Kind kind : {Channel::pipe, Channel::socket}) {
    Channel channel(kind);
    channel.close_reading();
    CountingHandler handler(SIGPIPE);
    FrameWriter writer(channel.writing);
    EXPECT_EQ(error_of_writing(writer, "nobody reads this"), EPIPE) << "the errno that was thrown (0: none)";
    EXPECT_EQ(handler_calls, 0) << "calls of the process's handler of SIGPIPE";
    EXPECT_FALSE(sigpipe_is_pending()) << "SIGPIPE is pending after write_message; it was not before";
    EXPECT_FALSE(sigpipe_is_blocked()) << "SIGPIPE is blocked after write_message; it was not before";

    // Now a caller who has blocked SIGPIPE, with one that waits to be delivered.
    sigset_t sigpipe, before;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    raise(SIGPIPE);
    EXPECT_EQ(error_of_writing(writer, "nobody reads this"), EPIPE) << "the errno that was thrown (0: none)";
    EXPECT_TRUE(sigpipe_is_blocked()) << "the caller had blocked SIGPIPE, and finds it unblocked after write_message";
    EXPECT_TRUE(sigpipe_is_pending()) << "a SIGPIPE was pending before write_message, and is gone afterwards";
    if (sigpipe_is_pending()) sigwaitinfo(&sigpipe, nullptr);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
}

TEST(FrameWriter, NeverChangesWhatTheProcessDoesOnASignal) {
  Channel channel;
  CountingHandler handler(SIGPIPE);
  struct sigaction before {
  }, meanwhile{};
  sigaction(SIGPIPE, nullptr, &before);
  FrameWriter writer(channel.writing);
  Onlooker onlooker([&](Onlooker& it) {
    if (!sleeps(it, "write_message")) return;
    sigaction(SIGPIPE, nullptr, &meanwhile);
    EXPECT_EQ(meanwhile.sa_handler, before.sa_handler)
        << "another thread of the process looked at its handler of SIGPIPE while write_message waited";
    channel.close_reading();
  });
  error_of_writing(writer, long_message());
}

TEST(FrameWriter, DoesNotMixTheMessagesOfTwoThreads) {
  // A pipe takes a page, so each of the messages is written in many pieces; who has written one goes to the end of the
  // line of those who wait for room.
  Channel channel;
  FrameWriter writer(channel.writing);
  std::string first(200'000, '1'), second(200'000, '2'), received;
  Onlooker onlooker([&](Onlooker& it) {
    if (!sleeps(it, "write_message")) return;
    std::thread another([&] { writer.write_message(second); });
    sleeps(it, "write_message");
    received = channel.take(2 * (8 + first.size()));
    another.join();
  });
  in_parent([&] { writer.write_message(first); });
  onlooker.call_is_over();
  EXPECT_TRUE(received == frame(first) + frame(second)) << "two threads wrote a message each with one FrameWriter, and "
                                                           "bytes of the second came in the midst of the first";
}

TEST(FrameWriter, DoesNotWaitForAWriterOfAnotherDescriptor) {
  Channel full, empty;
  FrameWriter waiting(full.writing), other(empty.writing);
  std::string message = long_message();
  interleave::Rendezvous written(2,
                                 "one thread waits for room in its pipe while another writes to a pipe that has room");
  Onlooker onlooker([&](Onlooker& it) {
    if (!sleeps(it, "write_message")) return;
    std::thread another([&] {
      other.write_message("hello");
      written.arrive_and_wait();
    });
    written.arrive_and_wait();
    full.take(message.size() + 8);
    another.join();
  });
  in_parent([&] { waiting.write_message(message); });
}

TEST(FrameReader, ReturnsEachMessageAndThenTheEnd) {
  Channel channel;
  const std::vector<std::string> messages = {"abc", "", "a\0b"s, "", long_message(1000)};
  for (const std::string& message : messages) channel.put(frame(message));
  channel.close_writing();
  FrameReader reader(channel.reading, 4096);
  for (const std::string& message : messages) {
    EXPECT_EQ(in_parent([&] { return reader.read_message(); }), message);
  }
  EXPECT_EQ(outcome_of(reader), "the end") << "the stream ended after a whole message";
  EXPECT_EQ(outcome_of(reader), "the end") << "asked once more";
}

TEST(FrameReader, PutsAMessageTogetherFromSingleBytes) {
  Channel channel;
  FrameReader reader(channel.reading, 100);
  Onlooker onlooker([&](Onlooker& it) {
    for (char byte : frame("hello")) {
      if (!sleeps(it, "read_message")) return;
      channel.put({&byte, 1});
    }
  });
  EXPECT_EQ(in_parent([&] { return reader.read_message(); }), "hello") << "each read(2) got one byte";
}

TEST(FrameReader, LeavesTheDescriptorToTheCaller) {
  for (int flags : {0, O_NONBLOCK}) {
    Channel channel(Channel::pipe, flags);
    int before = fcntl(channel.reading, F_GETFL);
    {
      FrameReader reader(channel.reading, 100);
      Onlooker onlooker([&](Onlooker& it) {
        for (const std::string& part : {length_of(5), "hello"s}) {
          if (!sleeps(it, "read_message")) return;
          EXPECT_EQ(fcntl(channel.reading, F_GETFL), before) << "the flags of the descriptor while read_message waits";
          channel.put(part);
        }
      });
      EXPECT_EQ(outcome_of(reader), "a message of 5 bytes") << "the pipe was only empty, with O_NONBLOCK and without";
    }
    EXPECT_EQ(fcntl(channel.reading, F_GETFL), before) << "the flags of the descriptor afterwards (-1: it was closed)";
  }
}

TEST(FrameReader, ReadsOnAfterASignal) {
  Channel channel;
  CountingHandler handler(SIGUSR1);
  FrameReader reader(channel.reading, 100);
  pthread_t caller = pthread_self();
  Onlooker onlooker([&](Onlooker& it) {
    for (const std::string& part : {length_of(5).substr(0, 3), length_of(5).substr(3), "he"s, "llo"s}) {
      if (!sleeps(it, "read_message")) return;
      pthread_kill(caller, SIGUSR1);
      if (!sleeps(it, "read_message")) return;
      channel.put(part);
    }
  });
  EXPECT_EQ(outcome_of(reader), "a message of 5 bytes") << "signal handlers ran while read_message waited";
}

TEST(FrameReader, ReportsAPeerThatWasKilledInTheMiddle) {
  const std::string stream = frame("hello");
  for (std::size_t written = 0; written <= stream.size(); ++written) {
    Channel channel;
    pid_t peer = fork();
    if (peer == 0) {
      channel.put(stream.substr(0, written));
      raise(SIGKILL);
    }
    channel.close_writing();
    FrameReader reader(channel.reading, 100);
    std::string first = outcome_of(reader), second = outcome_of(reader);
    waitpid(peer, nullptr, 0);
    bool whole = written == 0 || written == stream.size();
    EXPECT_EQ(first, written == 0 ? "the end"
                     : whole      ? "a message of 5 bytes"
                                  : "TruncatedMessage")
        << "the peer was killed after " << written << " of " << stream.size() << " bytes";
    EXPECT_EQ(second, whole ? "the end" : "TruncatedMessage") << "the same, asked once more";
  }
}

TEST(FrameReader, RefusesALengthAboveTheLargest) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  for (std::uint64_t length : {std::uint64_t{17}, std::uint64_t{1} << 31, (std::uint64_t{1} << 32) + 3,
                               std::uint64_t{1} << 63, most - 7, most}) {
    Channel channel;
    channel.put(length_of(length) + frame("a whole message"));
    channel.close_writing();
    FrameReader reader(channel.reading, 16);
    EXPECT_EQ(outcome_of(reader), "OversizedMessage") << "a length of " << length << " where 16 are allowed";
    EXPECT_EQ(outcome_of(reader), "OversizedMessage") << "the same, asked once more: nobody knows what comes next";
  }
  Channel channel;
  channel.put(frame(std::string(16, 'x')));
  FrameReader reader(channel.reading, 16);
  EXPECT_EQ(outcome_of(reader), "a message of 16 bytes") << "exactly as long as is allowed";
}

TEST(FrameReader, ReportsTheErrorOfTheSystem) {
  // A socket that is closed with bytes in it that nobody has read.
  Channel channel(Channel::socket);
  ASSERT_EQ(write(channel.reading, "x", 1), 1);
  channel.close_writing();
  FrameReader reader(channel.reading, 100);
  EXPECT_EQ(outcome_of(reader), "system_error with ECONNRESET") << "read(2) fails with ECONNRESET";
  EXPECT_EQ(outcome_of(reader), "system_error with ECONNRESET") << "the same, asked once more";
}

TEST(FrameReader, TakesMemoryOnlyForWhatHasArrived) {
  constexpr std::size_t largest = std::size_t{1} << 32;
  Channel channel;
  channel.put(length_of(largest) + "a hundred bytes or fewer");
  channel.close_writing();
  FrameReader reader(channel.reading, largest);
  rlimit before{}, little{};
  getrlimit(RLIMIT_AS, &before);
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  little = before;
  little.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + (std::size_t{64} << 20);
  if (!interleave::under_sanitizer) setrlimit(RLIMIT_AS, &little);  // a sanitizer needs more than this for itself
  std::string outcome = "std::bad_alloc";
  try {
    outcome = outcome_of(reader);
  } catch (const std::bad_alloc&) {
  }
  setrlimit(RLIMIT_AS, &before);
  EXPECT_EQ(outcome, "TruncatedMessage") << "a peer said 4 GiB, sent 24 bytes and closed; the process could have taken "
                                            "64 MiB of memory more";
}
