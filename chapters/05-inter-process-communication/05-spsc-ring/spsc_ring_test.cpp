#include "exercise/test.hpp"

#include <spsc_ring.hpp>

using interleave::FailureKind;
using interleave::Shared;

namespace {

// Large enough that no machine copies it in one step.
struct Message {
  std::array<std::uint64_t, 16> words;

  explicit Message(std::uint64_t number = 0) { words.fill(number); }
  // The number of a message that is whole, and a number that no test sends for one that is not.
  std::uint64_t number() const {
    bool whole = std::all_of(words.begin(), words.end(), [this](std::uint64_t word) { return word == words[0]; });
    return whole ? words[0] : 0xbad;
  }
};
using Ring = SpscRing<Message>;
using Numbers = std::vector<std::uint64_t>;

// Memory of just this size, which AddressSanitizer watches.
class Memory {
 public:
  explicit Memory(std::size_t size) : bytes_(new (std::align_val_t(64)) std::byte[size]{}, size) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::operator delete[](bytes_.data(), std::align_val_t(64)); }
  operator std::span<std::byte>() const { return bytes_; }
  std::span<std::byte> operator*() const { return bytes_; }

  std::uint64_t word(std::size_t offset) const {
    std::uint64_t value = 0;
    std::memcpy(&value, &bytes_[offset], sizeof(value));
    return value;
  }
  void set_word(std::size_t offset, std::uint64_t value) const { std::memcpy(&bytes_[offset], &value, sizeof(value)); }

 private:
  std::span<std::byte> bytes_;
};

// Memory that child processes share, with a page behind it that nobody may touch.
class Segment {
 public:
  explicit Segment(std::size_t size) : size_(size), file_(memfd_create("ring", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(file_, static_cast<off_t>(size)), 0);
    bytes_ = map();
  }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment() {
    munmap(bytes_, size_);
    close(file_);
  }
  std::span<std::byte> operator*() const { return {bytes_, size_}; }

  // Has the memory somewhere else from now on, and nothing where it was.
  void move() {
    std::byte* elsewhere = map();
    mmap(bytes_, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    bytes_ = elsewhere;
  }

 private:
  std::byte* map() const {
    return static_cast<std::byte*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0));
  }
  std::size_t size_;
  int file_;
  std::byte* bytes_ = nullptr;
};

Numbers pop_all(Ring& ring) {
  Numbers numbers;
  Message message;
  // More than any ring here holds: a ring that never gets empty must not keep the test for ever.
  while (numbers.size() < 100 && ring.try_pop(message)) numbers.push_back(message.number());
  return numbers;
}

std::size_t push_until_full(Ring& ring, std::uint64_t first = 1) {
  std::size_t pushed = 0;
  while (pushed < 100 && ring.try_push(Message(first + pushed))) ++pushed;
  return pushed;
}

constexpr std::size_t message_size_at = 8, capacity_at = 16, counters_from = 24;
constexpr std::uint64_t some_start = 0x1234'5678;

// Where the counter is that `change` counts up.
std::size_t counter_changed_by(const Memory& memory, const std::function<void()>& change) {
  std::vector<std::size_t> places;
  std::vector<std::byte> before((*memory).begin(), (*memory).end());
  change();
  for (std::size_t at = counters_from; at + 8 <= before.size(); at += 8) {
    std::uint64_t old = 0;
    std::memcpy(&old, &before[at], 8);
    if (old == some_start && memory.word(at) == some_start + 1) places.push_back(at);
  }
  EXPECT_EQ(places.size(), 1U) << "counters in the memory that a push or a pop counts up from `start`";
  return places.empty() ? counters_from : places[0];
}

// Where the two counters are in a ring of 4.
struct Counters {
  std::size_t pushed = 0, popped = 0;
};
Counters find_counters() {
  Memory memory(Ring::bytes_for(4));
  Ring ring = Ring::create(memory, 4, some_start);
  Counters counters;
  Message message;
  counters.pushed = counter_changed_by(memory, [&] { ring.try_push(message); });
  counters.popped = counter_changed_by(memory, [&] { ring.try_pop(message); });
  return counters;
}

}  // namespace

TEST(SpscRing, RefusesACapacityThatIsNoPowerOfTwo) {
  Memory memory(std::max(Ring::bytes_for(8), std::size_t{4096}));
  for (std::size_t capacity : {0, 3, 6}) {
    EXPECT_THROW(Ring::bytes_for(capacity), std::invalid_argument) << "a capacity of " << capacity;
    EXPECT_THROW(Ring::create(memory, capacity), std::invalid_argument) << "a capacity of " << capacity;
  }
  EXPECT_THROW(Ring::bytes_for(std::size_t{1} << 63), std::invalid_argument) << "2^63 messages: more than any memory";
  EXPECT_THROW(Ring::bytes_for(std::size_t{1} << 57), std::invalid_argument) << "2^57 messages of 128 bytes";
  EXPECT_THROW(Ring::create(memory, std::size_t{1} << 57), std::invalid_argument) << "2^57 messages of 128 bytes";
}

TEST(SpscRing, RefusesMemoryThatItDoesNotFitInto) {
  Memory memory(Ring::bytes_for(4) + 64);
  EXPECT_THROW(Ring::create((*memory).first(Ring::bytes_for(4) - 1), 4), std::invalid_argument)
      << "one byte is missing";
  EXPECT_THROW(Ring::create((*memory).subspan(8), 4), std::invalid_argument)
      << "begins at 8 bytes after a multiple of 64";
  EXPECT_EQ(Ring::create((*memory).subspan(64), 4).capacity(), 4U);
}

TEST(SpscRing, RefusesToAttachToAnythingElse) {
  const std::size_t size = Ring::bytes_for(4);
  Memory memory(size + 64);
  EXPECT_THROW(Ring::attach(memory), std::invalid_argument) << "memory of zeros only";
  Ring::create((*memory).first(size), 4);
  EXPECT_EQ(Ring::attach(memory).capacity(), 4U) << "a ring of 4, in memory that is larger";
  auto refuses = [&](std::span<std::byte> part, const char* why) {
    EXPECT_THROW(Ring::attach(part), std::invalid_argument) << why;
  };
  refuses({}, "no memory at all");
  refuses((*memory).first(16), "16 bytes of memory");
  refuses((*memory).first(size - 1), "memory that is one byte too small for the ring");
  EXPECT_THROW(SpscRing<std::uint32_t>::attach(memory), std::invalid_argument) << "a ring of messages of another size";
  std::vector<std::byte> ring((*memory).begin(), (*memory).end());
  std::copy(ring.begin(), ring.end() - 64, (*memory).begin() + 8);
  refuses((*memory).subspan(8), "a ring that begins at 8 bytes after a multiple of 64");
  auto refuses_with = [&](std::size_t offset, std::uint64_t value, const char* why) {
    std::copy(ring.begin(), ring.end(), (*memory).begin());
    memory.set_word(offset, value);
    refuses(memory, why);
  };
  refuses_with(0, 1, "another number where the magic number was");
  refuses_with(capacity_at, 8, "a capacity that the memory is too small for");
  refuses_with(capacity_at, 3, "a capacity of 3");
  refuses_with(capacity_at, 0, "a capacity of 0");
  refuses_with(capacity_at, std::uint64_t{1} << 57, "2^57 messages of 128 bytes, which is 2^64 bytes");
  Counters counters = find_counters();
  refuses_with(counters.pushed, 5, "5 messages in a ring of 4");
  refuses_with(counters.popped, 1, "one message popped, and none was pushed");
}

TEST(SpscRing, HoldsAsManyMessagesAsItsCapacity) {
  for (std::size_t capacity : {1, 4}) {
    Memory memory(Ring::bytes_for(capacity));
    Ring producer = Ring::create(memory, capacity), consumer = Ring::attach(memory);
    EXPECT_EQ(producer.capacity(), capacity);
    EXPECT_EQ(consumer.capacity(), capacity);
    Message message(77);
    EXPECT_FALSE(consumer.try_pop(message)) << "the ring is empty";
    EXPECT_EQ(message.number(), 77U) << "a try_pop() that returns false leaves its message alone";
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(push_until_full(producer), capacity) << "messages that a ring of this capacity takes, round " << round;
      EXPECT_TRUE(consumer.try_pop(message)) << "the ring is full";
      EXPECT_EQ(message.number(), 1U) << "the oldest message";
      EXPECT_TRUE(producer.try_push(Message(50))) << "one message was taken, so there is room for one";
      EXPECT_FALSE(producer.try_push(Message(51))) << "the ring is full again";
      Numbers rest = pop_all(consumer);
      ASSERT_EQ(rest.size(), capacity) << "messages in a full ring";
      EXPECT_EQ(rest.back(), 50U) << "the youngest message";
    }
  }
}

TEST(SpscRing, GoesOnWhenItsCountersWrapAround) {
  Memory memory(Ring::bytes_for(4));
  for (std::uint64_t start : {std::uint64_t{0} - 2, (std::uint64_t{1} << 32) - 2, (std::uint64_t{1} << 63) - 2}) {
    Ring producer = Ring::create(memory, 4, start);
    Ring consumer = Ring::attach(memory);
    for (std::uint64_t round = 0; round < 3; ++round) {
      EXPECT_EQ(push_until_full(producer, 10 * round), 4U)
          << "messages that fit, with counters that began at " << start;
      Numbers expected = {10 * round, 10 * round + 1, 10 * round + 2, 10 * round + 3};
      EXPECT_EQ(pop_all(consumer), expected) << "with counters that began at " << start;
      consumer = Ring::attach(memory);
    }
  }
}

TEST(SpscRing, KeepsTheTwoSidesOnDifferentCacheLines) {
  Memory memory(Ring::bytes_for(4));
  Ring ring = Ring::create(memory, 4, some_start);
  std::vector<std::byte> before;
  auto lines_changed_by = [&](const std::function<void()>& change) {
    before.assign((*memory).begin(), (*memory).end());
    change();
    std::set<std::size_t> lines;
    for (std::size_t at = 0; at < before.size(); ++at) {
      if (before[at] != (*memory)[at]) lines.insert(at / 64);
    }
    return lines;
  };
  std::set<std::size_t> producers = lines_changed_by([&] { push_until_full(ring, 0x0101'0101'0101'0101); });
  std::set<std::size_t> consumers = lines_changed_by([&] { pop_all(ring); });
  for (std::size_t line : consumers) {
    EXPECT_FALSE(producers.contains(line)) << "bytes " << line * 64 << " to " << line * 64 + 63
                                           << " of the memory are one cache line, and both sides write there";
  }
}

TEST(SpscRing, BelievesNoCounterThatIsImpossible) {
  Counters counters = find_counters();
  for (std::uint64_t distance : {std::uint64_t{1} << 40, std::uint64_t{1} << 63, std::uint64_t{0} - 6}) {
    Memory memory(Ring::bytes_for(4));
    Ring producer = Ring::create(memory, 4, some_start);
    memory.set_word(counters.popped, some_start + distance);
    EXPECT_THROW(push_until_full(producer), std::runtime_error)
        << "the consumer's counter was overwritten with a number that is impossible";
    Ring consumer = Ring::create(memory, 4, some_start);
    memory.set_word(counters.pushed, some_start + distance);
    EXPECT_THROW(pop_all(consumer), std::runtime_error)
        << "the producer's counter was overwritten with a number that is impossible";
  }
}

TEST(SpscRing, KeepsToTheCapacityThatItBeganWith) {
  Memory memory(Ring::bytes_for(4));
  // Of a place that is found by the capacity of the memory no machine has an address.
  Ring ring = Ring::create(memory, 4, (std::uint64_t{1} << 55) - 1);
  memory.set_word(capacity_at, std::uint64_t{1} << 56);
  memory.set_word(message_size_at, std::uint64_t{1} << 56);
  EXPECT_EQ(push_until_full(ring), 4U) << "the capacity in the memory was overwritten after the ring was made";
  EXPECT_EQ(pop_all(ring), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(ring.capacity(), 4U);
}

TEST(SpscRing, CarriesMessagesToAProcessThatHasItElsewhere) {
  constexpr std::uint64_t count = 2000;
  Segment segment(Ring::bytes_for(8));
  Ring producer = Ring::create(*segment, 8);
  Shared<std::atomic<std::uint64_t>> received, in_order;
  pid_t child = fork();
  if (child == 0) {
    segment.move();
    Ring consumer = Ring::attach(*segment);
    for (Message message; *received < count; ++*received) {
      while (!consumer.try_pop(message)) sched_yield();
      *in_order += message.number() == *received;
    }
    _exit(0);
  }
  int status = 0;
  pid_t ended = 0;
  for (std::uint64_t i = 0; i < count && ended == 0; ++i) {
    while (!producer.try_push(Message(i)) && (ended = waitpid(child, &status, WNOHANG)) == 0) sched_yield();
  }
  if (ended == 0) waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << FailureKind::crash << "the process that pops did not come to its end; it has the memory at another address";
  EXPECT_EQ(*in_order, count) << "messages that arrived whole and in order";
}

TEST(SpscRing, MakesNoSystemCall) {
  if (std::string reason = interleave::why_no_steps(); !reason.empty()) GTEST_SKIP() << reason;
  Segment segment(Ring::bytes_for(4));
  Ring ring = Ring::create(*segment, 4);
  auto work = [&] {
    Message message;
    for (int round = 0; round < 100; ++round) {
      while (ring.try_push(message)) {
      }
      while (ring.try_pop(message)) {
      }
    }
  };
  work();                                   // what the first call of a function costs is not what is asked for
  if (interleave::under_sanitizer) return;  // it makes system calls of its own
  EXPECT_EQ(interleave::system_calls_of(work), 0) << "system calls of 400 pushes and 400 pops";
}

TEST(SpscRing, SurvivesTheDeathOfTheProducerAtEachStep) {
  if (std::string reason = interleave::why_no_steps(); !reason.empty()) GTEST_SKIP() << reason;
  Segment segment(Ring::bytes_for(4));
  std::optional<Ring> producer;
  auto prepare = [&] {
    std::memset((*segment).data(), 0, (*segment).size());
    producer = Ring::create(*segment, 4, ~std::uint64_t{0});
  };
  auto push_two = [&] {
    producer->try_push(Message(1));
    producer->try_push(Message(2));
  };
  prepare();
  push_two();
  interleave::die_at_each_step(*segment, prepare, push_two, [&](bool finished) {
    Ring consumer = Ring::attach(*segment), next_producer = Ring::attach(*segment);
    Numbers seen = pop_all(consumer);
    EXPECT_TRUE(seen == Numbers{} || seen == Numbers{1} || seen == (Numbers{1, 2}))
        << "messages after a producer was killed that pushed 1 and 2: " << testing::PrintToString(seen) << " (" << 0xbad
        << " is a message that is not whole)";
    if (finished) EXPECT_EQ(seen.size(), 2U) << "both pushes came to their end";
    EXPECT_EQ(push_until_full(next_producer, 3), 4U) << "messages that another producer can push into the empty ring";
    EXPECT_EQ(pop_all(consumer), (Numbers{3, 4, 5, 6})) << "what another producer has pushed";
  });
}

TEST(SpscRing, SurvivesTheDeathOfTheConsumerAtEachStep) {
  if (std::string reason = interleave::why_no_steps(); !reason.empty()) GTEST_SKIP() << reason;
  Segment segment(Ring::bytes_for(4));
  Shared<std::atomic<std::uint64_t>> got;
  std::optional<Ring> consumer;
  auto prepare = [&] {
    std::memset((*segment).data(), 0, (*segment).size());
    Ring::create(*segment, 4, ~std::uint64_t{0});
    Ring producer = Ring::attach(*segment);
    push_until_full(producer);
    consumer = Ring::attach(*segment);
    *got = 0;
  };
  auto pop_two = [&] {
    Message message;
    for (int i = 0; i < 2; ++i) {
      if (consumer->try_pop(message)) *got = message.number();
    }
  };
  prepare();
  pop_two();
  interleave::die_at_each_step(*segment, prepare, pop_two, [&](bool finished) {
    Ring producer = Ring::attach(*segment), next_consumer = Ring::attach(*segment);
    std::size_t room = push_until_full(producer, 5);
    Numbers seen = pop_all(next_consumer);
    ASSERT_EQ(seen.size(), 4U) << "messages in a ring that was filled again after the consumer was killed";
    EXPECT_EQ(seen[0], 1 + room) << "the oldest message, when " << room << " were popped and as many pushed";
    EXPECT_TRUE(room == *got || room == *got + 1)
        << "the dead consumer had message " << *got << " at last, and " << room << " slots were free";
    if (finished) EXPECT_EQ(room, 2U) << "both pops came to their end";
  });
}

TEST(SpscRing, IsWholeOrNotThereWhenItsMakerDies) {
  if (std::string reason = interleave::why_no_steps(); !reason.empty()) GTEST_SKIP() << reason;
  Segment segment(Ring::bytes_for(4));
  auto prepare = [&] {
    std::memset((*segment).data(), 0, (*segment).size());
    Ring old = Ring::create(*segment, 2, 40);
    old.try_push(Message(7));
  };
  auto make = [&] { Ring::create(*segment, 4, 50); };
  prepare();
  make();
  interleave::die_at_each_step(*segment, prepare, make, [&](bool finished) {
    try {
      Ring ring = Ring::attach(*segment);
      Numbers expected = ring.capacity() == 2 ? Numbers{7} : Numbers{};
      EXPECT_EQ(pop_all(ring), expected) << "a ring of capacity " << ring.capacity()
                                         << ": an old one of 2 held one message, a new one of 4 is made in its place";
      if (finished) EXPECT_EQ(ring.capacity(), 4U);
    } catch (const std::invalid_argument&) {
      EXPECT_FALSE(finished) << "create() came to its end, and attach() finds no ring";
    }
  });
}

INTERLEAVING_TEST(SpscRing, ShowsAMessageThatIsWhole) {
  Memory memory(SpscRing<int>::bytes_for(2));
  auto producers_end = SpscRing<int>::create(memory, 2);
  auto consumers_end = SpscRing<int>::attach(memory);
  std::thread producer([&] { EXPECT_TRUE(producers_end.try_push(42)) << "the ring is empty"; });
  int message = 0;
  while (!consumers_end.try_pop(message)) std::this_thread::yield();
  EXPECT_EQ(message, 42) << "the message that was pushed";
  producer.join();
}

INTERLEAVING_TEST(SpscRing, GivesASlotBackThatWasRead) {
  Memory memory(SpscRing<int>::bytes_for(1));
  auto producers_end = SpscRing<int>::create(memory, 1);
  auto consumers_end = SpscRing<int>::attach(memory);
  std::thread producer([&] {
    for (int i = 1; i <= 2; ++i) {
      while (!producers_end.try_push(i)) std::this_thread::yield();
    }
  });
  for (int i = 1; i <= 2; ++i) {
    int message = 0;
    while (!consumers_end.try_pop(message)) std::this_thread::yield();
    EXPECT_EQ(message, i) << "messages arrive in order";
  }
  producer.join();
}
