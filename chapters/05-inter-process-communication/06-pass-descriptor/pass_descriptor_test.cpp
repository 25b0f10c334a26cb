#include <pass_descriptor.hpp>

#include "exercise/test.hpp"

#include <sys/socket.h>

using interleave::FailureKind;
using interleave::in_parent;
using interleave::Onlooker;

namespace {

// A connected pair of stream sockets; what is still open goes with it.
struct Sockets {
  int ours = -1, peer = -1;
  Sockets() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours = ends[0], peer = ends[1];
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  ~Sockets() { close(ours), close_peer(); }
  void close_peer() {
    if (peer >= 0) close(std::exchange(peer, -1));
  }
};

// A descriptor of the test.
struct Owned {
  int number;
  explicit Owned(int descriptor) : number(descriptor) { EXPECT_GE(number, 0) << strerror(errno); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { close(number); }
};

int make_memory(off_t size, int seals) {
  int memory = memfd_create("of-the-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT_EQ(ftruncate(memory, size), 0);
  if (seals != 0) EXPECT_EQ(fcntl(memory, F_ADD_SEALS, seals), 0);
  return memory;
}

// What a peer may send: any bytes with any descriptors.
void send_raw(int socket, std::string bytes, std::vector<int> descriptors) {
  iovec data{bytes.data(), bytes.size()};
  std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &data, message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data(), message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  EXPECT_EQ(sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size())) << strerror(errno);
}

// What receive_buffer does, in words that can be compared. What it leaves open is found after the test.
std::string outcome_of_receiving(int socket, std::size_t size) {
  try {
    auto buffer = in_parent([&] { return receive_buffer(socket, size); });
    return buffer ? "a buffer of " + std::to_string(buffer->bytes().size()) + " bytes" : "nothing";
  } catch (const RefusedBuffer&) {
    return "RefusedBuffer";
  } catch (const std::invalid_argument&) {
    return "invalid_argument";
  } catch (const std::system_error& error) {
    const char* name = strerrorname_np(error.code().value());
    return std::string("system_error with ") + (name != nullptr ? name : "an unknown number");
  }
}

std::string outcome_of_making(std::size_t size) {
  try {
    SharedBuffer buffer(size);
    return "a buffer";
  } catch (const std::invalid_argument&) {
    return "invalid_argument";
  } catch (const std::system_error&) {
    return "system_error";
  }
}

int error_of_sending(int socket, const SharedBuffer& buffer) {
  try {
    in_parent([&] { send_buffer(socket, buffer); });
    return 0;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

int mappings_of_memory() {
  int count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) count += line.find("/memfd:") != std::string::npos;
  return count;
}

bool is_open(int descriptor) { return fcntl(descriptor, F_GETFD) >= 0; }
bool is_close_on_exec(int descriptor) { return (fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0; }

// While it lives, so many more descriptors can be opened.
class FewDescriptors {
 public:
  explicit FewDescriptors(int spare) {
    getrlimit(RLIMIT_NOFILE, &before_);
    int lowest_free = dup(0);
    close(lowest_free);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest_free + spare);
    setrlimit(RLIMIT_NOFILE, &few);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// Has a handler for SIGUSR1 without SA_RESTART, for good.
void handle_sigusr1() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
}

// Interrupts a call that sleeps, and waits until it sleeps again.
bool interrupt(Onlooker& it, pthread_t caller) {
  if (it.wait_until_asleep().what != Onlooker::asleep) return false;
  pthread_kill(caller, SIGUSR1);
  return it.wait_until_asleep().what == Onlooker::asleep;
}

constexpr int sealed = F_SEAL_SHRINK | F_SEAL_GROW;

}  // namespace

TEST(SharedBuffer, HasItsSizeForGood) {
  SharedBuffer buffer(10'000);
  ASSERT_EQ(buffer.bytes().size(), 10'000u);
  EXPECT_EQ(buffer.bytes().front(), std::byte{0});
  buffer.bytes().back() = std::byte{7};
  for (off_t size : {0, 9'999, 10'001, 1'000'000}) {
    EXPECT_NE(ftruncate(buffer.descriptor(), size), 0) << "its size, 10000 bytes, was changed to " << size;
  }
}

TEST(SharedBuffer, GivesItsMappingBack) {
  int before = mappings_of_memory();
  {
    SharedBuffer buffer(10'000);
    EXPECT_EQ(mappings_of_memory(), before + 1) << "mappings of a memfd while there is a buffer";
  }
  EXPECT_EQ(mappings_of_memory(), before) << FailureKind::leak << "mappings of a memfd when the buffer is gone";
}

TEST(SharedBuffer, BelongsToWhatItWasMovedTo) {
  int before = mappings_of_memory();
  {
    std::optional<SharedBuffer> first(std::in_place, 10'000);
    SharedBuffer second(std::move(*first)), third(20'000);
    first.reset();
    ASSERT_TRUE(is_open(second.descriptor())) << "what the buffer was moved from is gone, and has closed it";
    ASSERT_EQ(mappings_of_memory(), before + 2) << "mappings for two buffers; what one was moved from is gone";
    third = std::move(second);
    ASSERT_EQ(third.bytes().size(), 10'000u);
    third.bytes().back() = std::byte{1};
    EXPECT_EQ(mappings_of_memory(), before + 1)
        << FailureKind::leak << "mappings when a buffer was assigned to another";
  }
  EXPECT_EQ(mappings_of_memory(), before) << FailureKind::leak << "mappings when all buffers are gone";
}

TEST(SharedBuffer, LeavesNothingBehindWhenItCannotBeMade) {
  EXPECT_EQ(outcome_of_making(0), "invalid_argument");
  EXPECT_EQ(outcome_of_making(std::numeric_limits<std::size_t>::max()), "system_error") << "2^64 - 1 bytes";
}

TEST(SharedBuffer, IsCloseOnExecFromTheFirstMoment) {
  interleave::DescriptorWatch watch;
  {
    SharedBuffer buffer(10'000);
    EXPECT_TRUE(is_close_on_exec(buffer.descriptor())) << FailureKind::leak << "a program would inherit the descriptor";
  }
  EXPECT_THAT(watch.remarks(), testing::IsEmpty()) << "what was to be seen meanwhile; had another thread executed a "
                                                      "program then, it would have got this";
}

TEST(SendBuffer, SendsOneByteWithTheDescriptorBesideIt) {
  Sockets sockets;
  {
    SharedBuffer buffer(10'000);
    buffer.bytes()[9'999] = std::byte{42};
    in_parent([&] { send_buffer(sockets.ours, buffer); });
  }
  std::array<char, 10> bytes;
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[256];
  msghdr message{};
  message.msg_iov = &data, message.msg_iovlen = 1;
  message.msg_control = control, message.msg_controllen = sizeof(control);
  EXPECT_EQ(recvmsg(sockets.peer, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), 1) << "bytes on the socket (-1: none)";
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  ASSERT_TRUE(header != nullptr && header->cmsg_type == SCM_RIGHTS) << "no descriptor came with them";
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
  Owned memory(descriptor);
  EXPECT_EQ(header->cmsg_len, CMSG_LEN(sizeof(int))) << "the length of the control message with one descriptor";
  char last = 0;
  EXPECT_EQ(pread(memory.number, &last, 1, 9'999), 1) << "the last byte of the memory that came";
  EXPECT_EQ(last, 42) << "the last byte of the memory that came; the sender had written it, and its buffer is gone";
}

TEST(SendBuffer, DoesNotDieWhenTheOtherEndIsClosed) {
  ::signal(SIGPIPE, SIG_DFL);  // ends the process, unless whoever started it has had it ignored
  Sockets sockets;
  SharedBuffer buffer(10'000);
  sockets.close_peer();
  EXPECT_EQ(error_of_sending(sockets.ours, buffer), EPIPE) << "the errno that was thrown (0: none)";
}

TEST(SendBuffer, GoesOnAfterASignal) {
  handle_sigusr1();
  Sockets sockets;
  SharedBuffer buffer(10'000);
  std::size_t filled = 0;
  while (send(sockets.ours, "x", 1, MSG_DONTWAIT) == 1) ++filled;
  pthread_t caller = pthread_self();
  Onlooker onlooker([&](Onlooker& it) {
    if (!interrupt(it, caller)) return;
    std::vector<char> bytes(filled + 1);
    for (std::size_t had = 0; had < bytes.size();) {
      had += static_cast<std::size_t>(std::max<ssize_t>(0, read(sockets.peer, bytes.data(), bytes.size() - had)));
    }
  });
  EXPECT_EQ(error_of_sending(sockets.ours, buffer), 0)
      << "the errno that was thrown; a signal handler ran, that is all";
}

TEST(ReceiveBuffer, SharesTheMemoryWithTheSender) {
  Sockets sockets;
  pid_t peer = fork();
  if (peer == 0) {
    close(sockets.ours);
    SharedBuffer buffer(10'000);
    buffer.bytes()[9'999] = std::byte{1};
    send_buffer(sockets.peer, buffer);
    char answer = 0;
    // 2: the receiver has closed; 1: it has answered, but what it wrote is not here
    if (read(sockets.peer, &answer, 1) != 1) _exit(2);
    _exit(buffer.bytes()[0] == std::byte{2} ? 0 : 1);
  }
  sockets.close_peer();
  {
    auto buffer = in_parent([&] { return receive_buffer(sockets.ours, 10'000); });
    if (buffer && buffer->bytes().size() == 10'000) {
      EXPECT_EQ(buffer->bytes()[9'999], std::byte{1}) << "what the sender had written in the last of the 10000 bytes";
      buffer->bytes()[0] = std::byte{2};
      EXPECT_EQ(send(sockets.ours, "x", 1, MSG_NOSIGNAL), 1);
    } else {
      ADD_FAILURE() << "another process sent a buffer of 10000 bytes, and receive_buffer did not return it";
    }
  }
  shutdown(sockets.ours, SHUT_RDWR);
  int status = -1;
  EXPECT_EQ(waitpid(peer, &status, 0), peer);
  EXPECT_EQ(status, 0) << "the sender does not see what the receiver has written in the first byte";
}

TEST(ReceiveBuffer, SaysWhenTheOtherEndIsClosed) {
  Sockets sockets;
  Owned memory(make_memory(10'000, sealed));
  send_raw(sockets.peer, "x", {memory.number});
  sockets.close_peer();
  EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "a buffer of 10000 bytes") << "sent before the end was closed";
  EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "nothing") << "the other end is closed";
}

TEST(ReceiveBuffer, RefusesBytesWithoutADescriptor) {
  Sockets sockets;
  Owned memory(make_memory(10'000, sealed));
  send_raw(sockets.peer, "ab", {});
  send_raw(sockets.peer, "x", {memory.number});
  for (const char* which : {"first", "second"}) {
    EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "RefusedBuffer")
        << "the " << which << " of two bytes that came without a descriptor; one with a descriptor is behind them";
  }
  EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "a buffer of 10000 bytes") << "the third byte has a descriptor";
}

TEST(ReceiveBuffer, RefusesMoreThanOneDescriptorAndClosesThemAll) {
  Owned memory(make_memory(10'000, sealed));
  for (std::size_t count : {2u, 3u, 20u}) {
    Sockets sockets;
    send_raw(sockets.peer, "x", std::vector<int>(count, memory.number));
    EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "RefusedBuffer") << count << " descriptors with one byte";
  }
}

TEST(ReceiveBuffer, RefusesWhatWasLostOnTheWay) {
  Owned memory(make_memory(10'000, sealed));
  for (int spare : {0, 1}) {
    Sockets sockets;
    send_raw(sockets.peer, "x", {memory.number, memory.number});
    std::string outcome;
    {
      FewDescriptors few(spare);
      outcome = outcome_of_receiving(sockets.ours, 10'000);
    }
    EXPECT_EQ(outcome, "RefusedBuffer") << "two descriptors were sent, and this process could open " << spare
                                        << " more";
  }
}

TEST(ReceiveBuffer, RefusesWhatIsNoSealedMemory) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Owned pipe_out(ends[0]), pipe_in(ends[1]);
  Owned zeros(open("/dev/zero", O_RDWR | O_CLOEXEC)), file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  Owned unsealed(make_memory(10'000, 0)), may_shrink(make_memory(10'000, F_SEAL_GROW));
  const std::map<std::string, int> descriptors = {{"a pipe", pipe_in.number},
                                                  {"/dev/zero", zeros.number},
                                                  {"a file", file.number},
                                                  {"memory without a seal", unsealed.number},
                                                  {"memory sealed against growing only", may_shrink.number}};
  for (const auto& [what, number] : descriptors) {
    Sockets sockets;
    send_raw(sockets.peer, "x", {number});
    EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "RefusedBuffer") << "the descriptor of " << what;
  }
}

TEST(ReceiveBuffer, ReturnsAsMuchAsWasAskedForOrRefuses) {
  Owned memory(make_memory(10'000, sealed));
  const std::map<std::size_t, std::string> outcomes = {
      {1, "a buffer of 1 bytes"},   {10'000, "a buffer of 10000 bytes"},     {10'001, "RefusedBuffer"},
      {1'000'000, "RefusedBuffer"}, {std::size_t{1} << 63, "RefusedBuffer"}, {0, "invalid_argument"}};
  for (const auto& [size, outcome] : outcomes) {
    Sockets sockets;
    send_raw(sockets.peer, "x", {memory.number});
    EXPECT_EQ(outcome_of_receiving(sockets.ours, size), outcome) << size << " bytes asked for, memory of 10000 came";
  }
}

TEST(ReceiveBuffer, ClosesWhatCannotBeMapped) {
  Sockets sockets;
  Owned read_only(make_memory(10'000, sealed | F_SEAL_WRITE));
  send_raw(sockets.peer, "x", {read_only.number});
  EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "system_error with EPERM") << "memory sealed against writing";
}

TEST(ReceiveBuffer, IsCloseOnExecFromTheFirstMoment) {
  Sockets sockets;
  Owned memory(make_memory(10'000, sealed));
  send_raw(sockets.peer, "x", {memory.number});
  interleave::DescriptorWatch watch;
  {
    auto buffer = in_parent([&] { return receive_buffer(sockets.ours, 10'000); });
    ASSERT_TRUE(buffer.has_value());
    EXPECT_TRUE(is_close_on_exec(buffer->descriptor()))
        << FailureKind::leak << "a program would inherit the descriptor";
  }
  EXPECT_THAT(watch.remarks(), testing::IsEmpty()) << "what was to be seen meanwhile; had another thread executed a "
                                                      "program then, it would have got this";
}

TEST(ReceiveBuffer, PassesOverOtherControlMessages) {
  Sockets sockets;
  int on = 1;
  ASSERT_EQ(setsockopt(sockets.ours, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
  Owned memory(make_memory(10'000, sealed));
  send_raw(sockets.peer, "x", {memory.number});
  EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "a buffer of 10000 bytes") << "with SO_PASSCRED on the socket";
}

TEST(ReceiveBuffer, GoesOnAfterASignal) {
  handle_sigusr1();
  Sockets sockets;
  Owned memory(make_memory(10'000, sealed));
  pthread_t caller = pthread_self();
  Onlooker onlooker([&](Onlooker& it) {
    if (interrupt(it, caller)) send_raw(sockets.peer, "x", {memory.number});
  });
  EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "a buffer of 10000 bytes") << "a signal handler ran meanwhile";
}

TEST(ReceiveBuffer, ReportsTheErrorOfTheSystem) {
  // A socket that is closed with a byte in it that nobody has read.
  Sockets sockets;
  ASSERT_EQ(write(sockets.ours, "x", 1), 1);
  sockets.close_peer();
  EXPECT_EQ(outcome_of_receiving(sockets.ours, 10'000), "system_error with ECONNRESET");
}
