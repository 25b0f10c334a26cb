// What threads gain when there is a global interpreter lock, on this machine: work that computes and work that waits,
// under one lock, under a lock each, and in processes.
//
//   cmake --build build --target 02-threads-and-the-gil.bench && build/programs/benchmarks/02-threads-and-the-gil.bench
//
// Each worker runs the same bytecode, in the eval loop of 2.3. `cpu` counts down in a loop. `io` calls a native
// function that waits, as for a disk or a server, and gives the lock back meanwhile, as in 2.4; `io_lock_held` forgets
// to. The column Time is how long all workers take together, starting them included. `gain` says how often the work
// that one worker does alone is done in the time that it takes alone: 1 if the workers run one after the other, as many
// as there are workers if none of them notices the others. For `cpu` it cannot be more than there are cores. One worker
// alone and all of them take turns in one run, so that whatever else the machine does meets both; `gain` is that of the
// turn in the middle of all.

#include <benchmark/benchmark.h>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include <allow_threads.hpp>
#include <eval_loop.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// One worker's share, about 20 ms of either sort.
constexpr Value rounds = 1'500'000;
constexpr Value waits = 4;
constexpr auto length_of_a_wait = std::chrono::milliseconds(5);

// Counts a global down to 0, each worker one of its own; `calls` calls the native function in each round. Comes to 0.
Program counting_down(Value count, std::size_t worker, bool calls) {
  const auto mine = static_cast<Value>(worker);
  Program program = {{Opcode::load_const, count}, {Opcode::store_global, mine}};
  const auto begin = static_cast<Value>(program.size());
  if (calls) {
    program.insert(program.end(), {{Opcode::load_const, 0}, {Opcode::call, 0}, {Opcode::add_to_global, mine}});
  }
  program.insert(program.end(), {{Opcode::load_const, -1}, {Opcode::add_to_global, mine}, {Opcode::load_global, mine}});
  const auto end = static_cast<Value>(program.size()) + 2;
  program.insert(program.end(), {{Opcode::jump_if_zero, end}, {Opcode::jump, begin}});
  program.insert(program.end(), {{Opcode::load_global, mine}, {Opcode::return_value}});
  return program;
}

enum class Work { cpu, io, io_lock_held };

void work(Interpreter& interpreter, Work sort, std::size_t worker) {
  const Program program = counting_down(sort == Work::cpu ? rounds : waits, worker, sort != Work::cpu);
  if (evaluate(interpreter, program) != 0) throw std::logic_error("the count does not end at 0");
}

// An interpreter for so many workers.
class Shared {
 public:
  Shared(Work sort, std::size_t workers) : interpreter_{InterpreterLock(), std::vector<Value>(workers)} {
    interpreter_.natives = {[this, sort](Value value) {
      if (sort == Work::io) {
        AllowThreads allow(interpreter_.lock);
        std::this_thread::sleep_for(length_of_a_wait);
      } else {
        std::this_thread::sleep_for(length_of_a_wait);
      }
      return value;
    }};
  }

  Interpreter& operator*() { return interpreter_; }

 private:
  Interpreter interpreter_;
};

void one_lock(Work sort, std::size_t workers) {
  Shared interpreter(sort, workers);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < workers; ++i) threads.emplace_back([&, i] { work(*interpreter, sort, i); });
}

void a_lock_each(Work sort, std::size_t workers) {
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < workers; ++i) {
    threads.emplace_back([sort] {
      Shared interpreter(sort, 1);
      work(*interpreter, sort, 0);
    });
  }
}

void processes(Work sort, std::size_t workers) {
  std::vector<pid_t> children;
  for (std::size_t i = 0; i < workers; ++i) {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) {
      Shared interpreter(sort, 1);
      work(*interpreter, sort, 0);
      ::_exit(0);
    }
    children.push_back(pid);
  }
  for (pid_t pid : children) {
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || status != 0) throw std::runtime_error("a worker has failed");
  }
}

using Way = void (*)(Work, std::size_t);

Seconds time_of(Way way, Work sort, std::size_t workers) {
  const auto start = Clock::now();
  way(sort, workers);
  return Clock::now() - start;
}

void run(benchmark::State& state, Way way, Work sort) {
  const auto workers = static_cast<std::size_t>(state.range(0));
  std::vector<double> gains;
  for (auto _ : state) {
    const Seconds alone = time_of(way, sort, 1);
    const Seconds together = time_of(way, sort, workers);
    gains.push_back(static_cast<double>(workers) * (alone / together));
    state.SetIterationTime(together.count());
  }
  const auto middle = gains.begin() + static_cast<std::ptrdiff_t>(gains.size() / 2);
  std::nth_element(gains.begin(), middle, gains.end());
  state.counters["gain"] = *middle;
}

void with_workers(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("workers")->Arg(2)->Arg(4)->UseManualTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(run, cpu_one_lock, one_lock, Work::cpu)->Apply(with_workers);
BENCHMARK_CAPTURE(run, cpu_a_lock_each, a_lock_each, Work::cpu)->Apply(with_workers);
BENCHMARK_CAPTURE(run, cpu_processes, processes, Work::cpu)->Apply(with_workers);
BENCHMARK_CAPTURE(run, io_one_lock, one_lock, Work::io)->Apply(with_workers);
BENCHMARK_CAPTURE(run, io_a_lock_each, a_lock_each, Work::io)->Apply(with_workers);
BENCHMARK_CAPTURE(run, io_processes, processes, Work::io)->Apply(with_workers);
BENCHMARK_CAPTURE(run, io_lock_held_one_lock, one_lock, Work::io_lock_held)->Apply(with_workers);

}  // namespace
