// What starting, copying and reaching another process costs on this machine, with threads beside it.
//
//   cmake --build build --target 01-processes.bench && build/programs/benchmarks/01-processes.bench
//
// Times are times of the clock on the wall, since most of what is measured here happens in another process. A counter
// that is a time has its unit behind it (912.3ns); in a counter of bytes k is 1024.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace {

using benchmark::Counter;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr const char* program = "/bin/true";
char* const program_arguments[] = {const_cast<char*>(program), nullptr};
char* const no_environment[] = {nullptr};

// Passes on the result of a system call that cannot fail here, and ends the program if it did.
template <typename Result>
Result check(Result result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

void wait_for(pid_t child) {
  int status = 0;
  check(waitpid(child, &status, 0), "waitpid");
  if (status != 0) throw std::runtime_error("a child did not end with exit status 0");
}

// The seconds that one of `events` took, shown with their unit.
Counter time_per_event(double events) { return Counter(events, Counter::kIsRate | Counter::kInvert); }

// Memory of this process alone, in pages of the usual size. A page comes to life when it is first written.
class WorkingSet {
 public:
  explicit WorkingSet(std::size_t bytes) : bytes_(bytes) {
    memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    // A huge page would make one fault out of hundreds. A kernel without huge pages refuses, which is as good.
    madvise(memory_, bytes, MADV_NOHUGEPAGE);
  }
  WorkingSet(const WorkingSet&) = delete;
  WorkingSet& operator=(const WorkingSet&) = delete;
  ~WorkingSet() { munmap(memory_, bytes_); }

  std::size_t pages() const { return bytes_ / page_size(); }

  void write_one_byte_per_page() {
    auto* bytes = static_cast<volatile unsigned char*>(memory_);
    for (std::size_t offset = 0; offset < bytes_; offset += page_size()) bytes[offset] = 1;
  }

 private:
  static std::size_t page_size() {
    static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return size;
  }

  void* memory_;
  std::size_t bytes_;
};

class Pipe {
 public:
  Pipe() { check(pipe2(ends_, O_CLOEXEC), "pipe2"); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_write_end();
    close(ends_[0]);
  }

  bool read(int& value) const { return ::read(ends_[0], &value, sizeof(value)) == sizeof(value); }
  void write(int value) const { check(::write(ends_[1], &value, sizeof(value)), "write"); }
  void close_write_end() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

// A copy of this process that does nothing; it ends with this object.
class SleepingChild {
 public:
  SleepingChild() : pid_(check(fork(), "fork")) {
    if (pid_ != 0) return;
    until_the_parent_closes_.close_write_end();
    int nothing;
    until_the_parent_closes_.read(nothing);
    _exit(0);
  }
  SleepingChild(const SleepingChild&) = delete;
  SleepingChild& operator=(const SleepingChild&) = delete;
  ~SleepingChild() {
    until_the_parent_closes_.close_write_end();
    waitpid(pid_, nullptr, 0);
  }

 private:
  Pipe until_the_parent_closes_;
  pid_t pid_;
};

// Keeps this thread, and the threads and processes that it starts meanwhile, on the CPU where it is.
class OneCpu {
 public:
  OneCpu() {
    check(sched_getaffinity(0, sizeof(before_), &before_), "sched_getaffinity");
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(check(sched_getcpu(), "sched_getcpu"), &here);
    check(sched_setaffinity(0, sizeof(here), &here), "sched_setaffinity");
  }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;
  ~OneCpu() { sched_setaffinity(0, sizeof(before_), &before_); }

 private:
  cpu_set_t before_;
};

// The memory that the page tables of this process take, in bytes.
double page_table_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kibibytes = 0;
    if (word == "VmPTE:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

long minor_faults() {
  rusage usage{};
  check(getrusage(RUSAGE_SELF, &usage), "getrusage");
  return usage.ru_minflt;
}

// ----- Starting -----------------------------------------------------------------------------------------------------

// A thread: a stack, and a task that shares everything else.
void start_thread_and_join(benchmark::State& state) {
  for (auto _ : state) std::thread([] {}).join();
}
BENCHMARK(start_thread_and_join)->Unit(benchmark::kMicrosecond)->UseRealTime();

// A process that ends at once: the copy of everything, and no program loaded.
void fork_exit_wait(benchmark::State& state) {
  for (auto _ : state) {
    pid_t child = check(fork(), "fork");
    if (child == 0) _exit(0);
    wait_for(child);
  }
}
BENCHMARK(fork_exit_wait)->Unit(benchmark::kMicrosecond)->UseRealTime();

// The same from a parent with this many MiB of resident memory: fork copies no page, but it does copy the page tables.
void fork_exit_wait_with_working_set(benchmark::State& state) {
  WorkingSet memory(static_cast<std::size_t>(state.range(0)) * mebibyte);
  memory.write_one_byte_per_page();
  state.counters["page_table_bytes"] = Counter(page_table_bytes(), Counter::kDefaults, Counter::kIs1024);
  fork_exit_wait(state);
}
BENCHMARK(fork_exit_wait_with_working_set)
    ->ArgName("MiB")
    ->Arg(1)
    ->Arg(64)
    ->Arg(512)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

// A new program the classic way, from a parent with this many MiB: the copied tables are thrown away by exec.
void fork_exec_wait(benchmark::State& state) {
  WorkingSet memory(static_cast<std::size_t>(state.range(0)) * mebibyte);
  memory.write_one_byte_per_page();
  for (auto _ : state) {
    pid_t child = check(fork(), "fork");
    if (child == 0) {
      execve(program, program_arguments, no_environment);
      _exit(127);
    }
    wait_for(child);
  }
}
BENCHMARK(fork_exec_wait)->ArgName("MiB")->Arg(1)->Arg(512)->Unit(benchmark::kMicrosecond)->UseRealTime();

// vfork lends the child the parent's memory until exec, and stops the parent for so long: no tables are copied.
void vfork_exec_wait(benchmark::State& state) {
  WorkingSet memory(static_cast<std::size_t>(state.range(0)) * mebibyte);
  memory.write_one_byte_per_page();
  for (auto _ : state) {
    pid_t child = check(vfork(), "vfork");
    if (child == 0) {
      execve(program, program_arguments, no_environment);
      _exit(127);
    }
    wait_for(child);
  }
}
BENCHMARK(vfork_exec_wait)->ArgName("MiB")->Arg(1)->Arg(512)->Unit(benchmark::kMicrosecond)->UseRealTime();

// posix_spawn is vfork's bargain behind a function that one cannot get wrong.
void posix_spawn_wait(benchmark::State& state) {
  WorkingSet memory(static_cast<std::size_t>(state.range(0)) * mebibyte);
  memory.write_one_byte_per_page();
  for (auto _ : state) {
    pid_t child = 0;
    int error = posix_spawn(&child, program, nullptr, nullptr, program_arguments, no_environment);
    if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn");
    wait_for(child);
  }
}
BENCHMARK(posix_spawn_wait)->ArgName("MiB")->Arg(1)->Arg(512)->Unit(benchmark::kMicrosecond)->UseRealTime();

// ----- Copying on write ---------------------------------------------------------------------------------------------
// One byte is written into each of 4,096 pages. The time is that of the writes alone; `per_write` is for one of them,
// `faults_per_write` says how many of them the kernel had to step in for.

constexpr std::size_t written_bytes = 16 * mebibyte;

// Takes the time and the faults of the writes, in each iteration of a benchmark with manual time.
class WriteMeter {
 public:
  explicit WriteMeter(benchmark::State& state) : state_(state) {}
  WriteMeter(const WriteMeter&) = delete;
  WriteMeter& operator=(const WriteMeter&) = delete;
  ~WriteMeter() {
    auto writes = static_cast<double>(writes_);
    state_.counters["per_write"] = time_per_event(writes);
    state_.counters["faults_per_write"] = static_cast<double>(faults_) / writes;
  }

  void measure(WorkingSet& memory) {
    const long faults_before = minor_faults();
    const auto start = std::chrono::steady_clock::now();
    memory.write_one_byte_per_page();
    const auto end = std::chrono::steady_clock::now();
    faults_ += minor_faults() - faults_before;
    writes_ += memory.pages();
    state_.SetIterationTime(std::chrono::duration<double>(end - start).count());
  }

 private:
  benchmark::State& state_;
  std::size_t writes_ = 0;
  long faults_ = 0;
};

// The floor: the pages are there and belong to nobody else.
void write_own_pages(benchmark::State& state) {
  WorkingSet memory(written_bytes);
  memory.write_one_byte_per_page();
  WriteMeter meter(state);
  for (auto _ : state) meter.measure(memory);
}
BENCHMARK(write_own_pages)->Unit(benchmark::kMicrosecond)->UseManualTime();

// New pages: each write is a fault for which the kernel finds a page and fills it with zeros.
void write_new_pages(benchmark::State& state) {
  WriteMeter meter(state);
  for (auto _ : state) {
    WorkingSet memory(written_bytes);
    meter.measure(memory);
  }
}
BENCHMARK(write_new_pages)->Unit(benchmark::kMicrosecond)->UseManualTime();

// Pages that a child has as well: each write is a fault for which the kernel copies the page.
void write_pages_shared_with_a_child(benchmark::State& state) {
  WorkingSet memory(written_bytes);
  memory.write_one_byte_per_page();
  WriteMeter meter(state);
  for (auto _ : state) {
    SleepingChild child;
    meter.measure(memory);
  }
}
BENCHMARK(write_pages_shared_with_a_child)->Unit(benchmark::kMicrosecond)->UseManualTime();

// The child has ended: the pages are still marked read-only, so each write is a fault, but nothing has to be copied.
void write_pages_after_the_child(benchmark::State& state) {
  WorkingSet memory(written_bytes);
  memory.write_one_byte_per_page();
  WriteMeter meter(state);
  for (auto _ : state) {
    { SleepingChild child; }
    meter.measure(memory);
  }
}
BENCHMARK(write_pages_after_the_child)->Unit(benchmark::kMicrosecond)->UseManualTime();

// ----- Reaching another one -----------------------------------------------------------------------------------------

// A function call behind a wall: fork, the value comes back through a pipe, wait.
void isolated_call(benchmark::State& state) {
  for (auto _ : state) {
    Pipe result;
    pid_t child = check(fork(), "fork");
    if (child == 0) {
      result.write(42);
      _exit(0);
    }
    result.close_write_end();
    int value = 0;
    if (!result.read(value) || value != 42) throw std::runtime_error("the child's value did not arrive");
    wait_for(child);
  }
}
BENCHMARK(isolated_call)->Unit(benchmark::kMicrosecond)->UseRealTime();

void answer(const Pipe& requests, const Pipe& answers) {
  for (int value; requests.read(value);) answers.write(value);
}

// Sends a number to whoever answers and waits for it to come back: on one CPU that takes two switches.
void measure_round_trips(benchmark::State& state, const Pipe& requests, const Pipe& answers) {
  for (auto _ : state) {
    requests.write(1);
    int value = 0;
    if (!answers.read(value)) throw std::runtime_error("no answer");
  }
  state.counters["per_switch"] = time_per_event(2.0 * static_cast<double>(state.iterations()));
}

// Two pipes to a process that is already there, both on one CPU. `per_switch` includes a write and a read.
void pipe_round_trip_to_a_process(benchmark::State& state) {
  OneCpu pinned;
  Pipe requests;
  Pipe answers;
  pid_t child = check(fork(), "fork");
  if (child == 0) {
    requests.close_write_end();
    answer(requests, answers);
    _exit(0);
  }
  measure_round_trips(state, requests, answers);
  requests.close_write_end();
  wait_for(child);
}
BENCHMARK(pipe_round_trip_to_a_process)->Unit(benchmark::kMicrosecond)->UseRealTime();

// The same two pipes to a thread.
void pipe_round_trip_to_a_thread(benchmark::State& state) {
  OneCpu pinned;
  Pipe requests;
  Pipe answers;
  std::thread other(answer, std::cref(requests), std::cref(answers));
  measure_round_trips(state, requests, answers);
  requests.close_write_end();
  other.join();
}
BENCHMARK(pipe_round_trip_to_a_thread)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
