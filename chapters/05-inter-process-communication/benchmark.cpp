// What it costs to hand messages to another process: through the kernel, through shared memory with copies and without,
// and through the ring of 5.5 beside what Boost has, with this machine's own memcpy as the limit.
//
//   cmake --build build --target 05-inter-process-communication.bench
//   build/programs/benchmarks/05-inter-process-communication.bench --benchmark_repetitions=9
//
// One process writes messages and another reads them. To write a message is to put a number into each of its lines of
// 64 bytes, to read it is to add them up: nothing is left out on the way, and nobody is paid for what nobody looks at.
//
// On two CPUs both work at the same time, and the lines have to go from the one's cache to the other's: how long that
// takes is a matter of how far apart they are, which a virtual machine may change at any time. On one CPU they work in
// turns, and what is measured is all the work there is: that is the figure to compare ways by.
//
// All ways take turns, so that whatever else the machine does meets all of them. The table comes last and has the
// median of all turns. Let nothing else run meanwhile; who is root can see to that with `chrt -f 5` before the command,
// which gives it each CPU before all others.

#include <benchmark/benchmark.h>

#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <spsc_ring.hpp>
#include <zero_copy_array.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::span<std::byte>;

constexpr std::size_t line = 64;
constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr int pipe_capacity =
    1 << 20;  // the most that anybody may ask for, unless /proc/sys/fs/pipe-max-size was raised

void check(bool holds, const char* what) {
  if (!holds) throw std::system_error(errno, std::generic_category(), what);
}

// ----- Messages -----------------------------------------------------------------------------------------------------

void write_message(Bytes message, std::uint64_t number) {
  for (std::size_t at = 0; at < message.size(); at += line) {
    const std::uint64_t value = number + at;
    std::memcpy(&message[at], &value, sizeof(value));
  }
}

std::uint64_t read_message(std::span<const std::byte> message) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < message.size(); at += line) {
    std::uint64_t value;
    std::memcpy(&value, &message[at], sizeof(value));
    sum += value;
  }
  return sum;
}

struct Load {
  std::size_t size;   // of a message
  std::size_t count;  // of messages in a turn
  bool on_one_cpu;    // the sender and the receiver
};

// ----- Two processes ------------------------------------------------------------------------------------------------

// A value that fork(2) shares.
template <typename T>
class Shared {
 public:
  Shared() : buffer_(sizeof(T)), value_(new (buffer_.bytes().data()) T()) {}
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  SharedBuffer buffer_;
  T* value_;
};

struct Semaphore {
  explicit Semaphore(unsigned permits = 0) { check(::sem_init(&semaphore, 1, permits) == 0, "sem_init"); }
  void acquire() {
    while (::sem_wait(&semaphore) != 0) check(errno == EINTR, "sem_wait");
  }
  void release() { ::sem_post(&semaphore); }
  sem_t semaphore;
};

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// If it is refused, the kernel goes on to choose.
void go_to(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  ::sched_setaffinity(0, sizeof(one), &one);
}

// Runs `send` in a child and `receive` here, and returns the seconds from the start of both to the end of `receive`.
double time_of(Load load, const std::function<void()>& send, const std::function<void()>& receive) {
  static const std::vector<int> cpus = allowed_cpus();
  const Shared<Semaphore> ready, start;
  const pid_t child = ::fork();
  check(child >= 0, "fork");
  if (child == 0) {
    int status = 1;
    try {
      if (!cpus.empty()) go_to(load.on_one_cpu ? cpus.back() : cpus.front());
      ready->release();
      start->acquire();
      send();
      status = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "sender: %s\n", error.what());
    }
    ::_exit(status);
  }
  if (!cpus.empty()) go_to(cpus.back());
  ready->acquire();
  const auto begin = Clock::now();
  start->release();
  receive();
  const std::chrono::duration<double> time = Clock::now() - begin;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error("the sender has failed");
  return time.count();
}

// Writes each message into what `place_for_next` gives and hands it on; reads each and gives its place back.
void send_all(Load load, const std::function<Bytes()>& place_for_next, const std::function<void(Bytes)>& hand_on) {
  for (std::size_t i = 0; i < load.count; ++i) {
    const Bytes message = place_for_next();
    write_message(message, i);
    hand_on(message);
  }
}
void receive_all(Load load, const std::function<Bytes()>& next, const std::function<void()>& give_back) {
  const std::uint64_t lines = load.size / line;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < load.count; ++i) {
    sum += read_message(next());
    give_back();
  }
  const std::uint64_t expected =
      lines * (load.count * (load.count - 1) / 2) + load.count * line * (lines * (lines - 1) / 2);
  if (sum != expected) throw std::logic_error("other messages have arrived than were sent");
}

// ----- Through the kernel -------------------------------------------------------------------------------------------

void write_whole(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    check(count >= 0 || errno == EINTR, "write");
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void read_whole(int descriptor, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::read(descriptor, bytes.data(), bytes.size());
    check(count > 0 || (count < 0 && errno == EINTR), "read");
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

// Closes both ends.
double through_descriptors(Load load, int write_end, int read_end) {
  std::vector<std::byte> buffer(load.size);
  const double time = time_of(
      load,
      [&] {
        send_all(
            load, [&] { return Bytes(buffer); }, [&](Bytes message) { write_whole(write_end, message); });
      },
      [&] {
        auto next = [&] {
          read_whole(read_end, buffer);
          return Bytes(buffer);
        };
        receive_all(load, next, [] {});
      });
  ::close(write_end);
  ::close(read_end);
  return time;
}

double pipe(Load load) {
  std::array<int, 2> ends;
  check(::pipe2(ends.data(), O_CLOEXEC) == 0, "pipe2");
  ::fcntl(ends[1], F_SETPIPE_SZ, pipe_capacity);
  return through_descriptors(load, ends[1], ends[0]);
}

double unix_socket(Load load) {
  std::array<int, 2> ends;
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, "socketpair");
  return through_descriptors(load, ends[1], ends[0]);
}

// ----- Through shared memory ----------------------------------------------------------------------------------------

// Places for messages in shared memory, used in turn. Who finds none, or no message, sleeps.
class Slots {
 public:
  Slots(std::size_t size, unsigned count) : size_(size), count_(count), memory_(size * count) {
    new (&*free_) Semaphore(count);
  }

  Bytes place() {
    free_->acquire();
    return slot(written_);
  }
  void hand_on() { ++written_, filled_->release(); }

  Bytes next() {
    filled_->acquire();
    return slot(read_);
  }
  void give_back() { ++read_, free_->release(); }

 private:
  Bytes slot(std::size_t number) const { return memory_.bytes().subspan(number % count_ * size_, size_); }

  std::size_t size_, count_;
  SharedBuffer memory_;
  Shared<Semaphore> free_, filled_;
  std::size_t written_ = 0, read_ = 0;  // the one is the sender's, the other the receiver's
};

// As many as a pipe has room for, but two at least.
unsigned slots_for(Load load) { return static_cast<unsigned>(std::max<std::size_t>(2, pipe_capacity / load.size)); }

double shared_memory_with_copies(Load load) {
  Slots slots(load.size, slots_for(load));
  std::vector<std::byte> buffer(load.size);
  return time_of(
      load,
      [&] {
        auto hand_on = [&](Bytes message) {
          std::memcpy(slots.place().data(), message.data(), message.size());
          slots.hand_on();
        };
        send_all(
            load, [&] { return Bytes(buffer); }, hand_on);
      },
      [&] {
        auto next = [&] {
          const Bytes slot = slots.next();
          std::memcpy(buffer.data(), slot.data(), slot.size());
          slots.give_back();
          return Bytes(buffer);
        };
        receive_all(load, next, [] {});
      });
}

double shared_memory_without_a_copy(Load load) {
  Slots slots(load.size, slots_for(load));
  return time_of(
      load,
      [&] {
        send_all(
            load, [&] { return slots.place(); }, [&](Bytes) { slots.hand_on(); });
      },
      [&] {
        receive_all(
            load, [&] { return slots.next(); }, [&] { slots.give_back(); });
      });
}

// ----- Queues of small messages in shared memory --------------------------------------------------------------------

struct alignas(line) SmallMessage {
  std::array<std::byte, line> bytes;
};
constexpr std::size_t queue_capacity = 1024;

// Tells the processor that this is a wait.
void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// Tries until it works. On one CPU it lets the other side have it between two tries; on two it leaves the lines of the
// queue to the other side for a moment, and now and then the CPU, in case others want it.
template <typename Try>
void insist(bool on_one_cpu, Try try_it) {
  for (int tries = 1; !try_it(); ++tries) {
    if (on_one_cpu || tries % 64 == 0) ::sched_yield();
    for (int i = 0; i < 64 && !on_one_cpu; ++i) pause_briefly();
  }
}

// These loops are written out: where a message costs a few nanoseconds, a call through std::function is as much again.
// For the same reason the messages are there from the start, a few that are sent again and again: a number that has
// just been written is not yet in the cache, and to copy the line around it the processor has to wait.
template <typename Push, typename Pop>
double through_queue(Load load, Push push, Pop pop) {
  constexpr std::size_t different = 64;
  std::array<SmallMessage, different> messages{};
  for (std::size_t i = 0; i < different; ++i) write_message(messages[i].bytes, i);
  return time_of(
      load,
      [&] {
        for (std::size_t i = 0; i < load.count; ++i) {
          insist(load.on_one_cpu, [&] { return push(messages[i % different]); });
        }
      },
      [&] {
        SmallMessage message{};
        bool all_right = true;
        for (std::size_t i = 0; i < load.count; ++i) {
          insist(load.on_one_cpu, [&] { return pop(message); });
          all_right &= read_message(message.bytes) == i % different;
        }
        if (!all_right) throw std::logic_error("other messages have arrived than were sent");
      });
}

double ring(Load load) {
  using Ring = SpscRing<SmallMessage>;
  const SharedBuffer memory(Ring::bytes_for(queue_capacity));
  Ring sender = Ring::create(memory.bytes(), queue_capacity);
  Ring receiver = Ring::attach(memory.bytes());
  return through_queue(
      load, [&](const SmallMessage& message) { return sender.try_push(message); },
      [&](SmallMessage& message) { return receiver.try_pop(message); });
}

double boost_lockfree(Load load) {
  const Shared<boost::lockfree::spsc_queue<SmallMessage, boost::lockfree::capacity<queue_capacity>>> queue;
  return through_queue(
      load, [&](const SmallMessage& message) { return queue->push(message); },
      [&](SmallMessage& message) { return queue->pop(message); });
}

double boost_message_queue(Load load) {
  using boost::interprocess::message_queue;
  // The name is gone before the first message is sent, so that nothing is left whatever happens.
  const std::string name = "interleave-bench-" + std::to_string(::getpid());
  message_queue queue(boost::interprocess::create_only, name.c_str(), queue_capacity, sizeof(SmallMessage));
  message_queue::remove(name.c_str());
  return through_queue(
      load,
      [&](const SmallMessage& message) {
        queue.send(&message, sizeof(message), 0);
        return true;
      },
      [&](SmallMessage& message) {
        message_queue::size_type size = 0;
        unsigned priority = 0;
        queue.receive(&message, sizeof(message), size, priority);
        return true;
      });
}

// ----- The limit ----------------------------------------------------------------------------------------------------

double memcpy_alone(Load load) {
  std::vector<std::byte> from(load.size, std::byte{1}), to(load.size);
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < load.count; ++i) {
    std::memcpy(to.data(), from.data(), load.size);
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// ----- The table ----------------------------------------------------------------------------------------------------

struct Kind {
  const char* name;
  std::size_t size;
  bool on_one_cpu;
};
constexpr std::array<Kind, 4> kinds = {{{"64B/two_CPUs", line, false},
                                        {"64B/one_CPU", line, true},
                                        {"1MiB/two_CPUs", mebibyte, false},
                                        {"1MiB/one_CPU", mebibyte, true}}};

struct Way {
  const char* what;
  double (*take)(Load);
  std::size_t small, large;  // messages of 64 bytes and of 1 MiB in a turn; 0 if this way is not for such messages
  std::array<std::vector<double>, kinds.size()> times{};  // seconds for a message of this kind, one for each turn
};

std::vector<Way> ways = {
    {"pipe, buffer of 1 MiB", pipe, 50'000, 100},
    {"Unix socket", unix_socket, 50'000, 100},
    {"shared memory, copied in and out", shared_memory_with_copies, 200'000, 400},
    {"shared memory, no copy", shared_memory_without_a_copy, 200'000, 400},
    {"ring of 5.5", ring, 1'000'000, 0},
    {"boost::lockfree::spsc_queue", boost_lockfree, 1'000'000, 0},
    {"boost::interprocess::message_queue", boost_message_queue, 100'000, 0},
    {"memcpy, nobody else", memcpy_alone, 1'000'000, 1000},
};

const std::vector<double>& times_of(const char* what, std::size_t kind) {
  return std::find_if(ways.begin(), ways.end(), [&](const Way& it) { return std::strcmp(it.what, what) == 0; })
      ->times[kind];
}

void messages(benchmark::State& state, std::size_t kind) {
  const auto [name, size, on_one_cpu] = kinds[kind];
  for (auto _ : state) {
    double total = 0;
    for (Way& way : ways) {
      const std::size_t count = size == line ? way.small : way.large;
      if (count == 0) continue;
      const double time = way.take({size, count, on_one_cpu});
      way.times[kind].push_back(time / static_cast<double>(count));
      total += time;
    }
    state.SetIterationTime(total);
  }
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Three digits, and the letter for a thousand or a million.
std::string in_short(double number) {
  std::array<char, 32> text;
  const double scale = number < 1e3 ? 1 : number < 1e6 ? 1e3 : 1e6;
  std::snprintf(text.data(), text.size(), "%.3g%s", number / scale, number < 1e3 ? "" : number < 1e6 ? "k" : "M");
  return text.data();
}

void print_ratio(std::size_t kind, const char* fast, const char* slow) {
  const std::vector<double>&a = times_of(fast, kind), &b = times_of(slow, kind);
  if (a.empty() || b.empty()) return;
  std::printf("%-14s %5.1f = %s / %s\n", kinds[kind].name, median(b) / median(a), fast, slow);
}

}  // namespace

int main(int argc, char** argv) {
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    benchmark::RegisterBenchmark(kinds[kind].name, messages, kind)->UseManualTime()->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();

  std::printf("\n%-35s", "");
  for (const Kind& kind : kinds) std::printf(" %16s", kind.name);
  std::printf("\n%-35s", "");
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) std::printf(" %9s %6s", "1/s", "GB/s");
  for (const Way& way : ways) {
    std::printf("\n%-35s", way.what);
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
      if (way.times[kind].empty()) {
        std::printf(" %9s %6s", "-", "-");
        continue;
      }
      const double rate = 1 / median(way.times[kind]);
      std::printf(" %9s %6.2f", in_short(rate).c_str(), rate * static_cast<double>(kinds[kind].size) / 1e9);
    }
  }
  std::printf("\n\n");
  for (std::size_t kind : {0, 1}) {
    print_ratio(kind, "ring of 5.5", "boost::lockfree::spsc_queue");
    print_ratio(kind, "ring of 5.5", "boost::interprocess::message_queue");
  }
  for (std::size_t kind : {2, 3}) {
    print_ratio(kind, "shared memory, no copy", "pipe, buffer of 1 MiB");
    print_ratio(kind, "shared memory, copied in and out", "pipe, buffer of 1 MiB");
  }
}
