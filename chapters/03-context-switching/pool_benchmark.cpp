// What a task costs: the pool of 3.5 beside oneTBB, Asio, std::async and the pool that one writes first, and beside a
// thread for each task.
//
//   cmake --build build --target 03-context-switching.pool.bench
//   build/programs/benchmarks/03-context-switching.pool.bench
//
// A batch is 1,000 tasks, each with a std::future, submitted by one thread, which then waits for the last one and reads
// all results. Each pool has as many threads as there are CPUs. oneTBB's wait() lets the waiting thread help, so there
// that thread is one of them; its tasks have futures too.
//
// All sides take turns in one run, some batches at a time, so that whatever else the machine does meets all of them. A
// line shows the microseconds of a batch by the clock on the wall, in the turn in the middle of all, and at the end how
// the best of the others compares: at `best/ours` 2 it takes twice as long as the reference. With `work` 0 a task does
// next to nothing, and what is measured is the pool (about half of it is what each std::future costs, see 3.5); one
// unit of work is a multiplication and an addition.

#include <benchmark/benchmark.h>

#include <oneapi/tbb/task_group.h>
#include <algorithm>
#include <boost/asio/packaged_task.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <thread_pool.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr int tasks_in_a_batch = 1000;
constexpr int batches_in_a_turn = 20;
constexpr int turns = 25;  // a fixed number: std::async takes a hundred times as long as what is measured here
constexpr int tasks_beside_threads = 10'000;

// The pool that one writes first.
class PlainPool {
 public:
  explicit PlainPool(std::size_t workers) {
    for (std::size_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }
  PlainPool(const PlainPool&) = delete;
  PlainPool& operator=(const PlainPool&) = delete;
  ~PlainPool() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  template <typename Function>
  auto submit(Function function) -> std::future<std::invoke_result_t<Function&>> {
    auto task = std::make_shared<std::packaged_task<std::invoke_result_t<Function&>()>>(std::move(function));
    auto future = task->get_future();
    {
      std::lock_guard lock(mutex_);
      tasks_.emplace_back([task] { (*task)(); });
    }
    changed_.notify_one();
    return future;
  }

 private:
  void work() {
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !tasks_.empty() || closed_; });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool closed_ = false;
  std::vector<std::thread> workers_;
};

struct Task {
  int number;
  int work;
  int operator()() const {
    unsigned value = 1;
    for (int i = 0; i < work; ++i) benchmark::DoNotOptimize(value = value * 1664525U + 1013904223U);
    return number;
  }
};

// oneTBB calls what it runs as const.
struct ConstTask {
  mutable std::packaged_task<int()> task;
  void operator()() const { task(); }
};

void read_all(std::vector<std::future<int>>& futures) {
  long sum = 0;
  for (std::future<int>& future : futures) sum += future.get();
  const long count = static_cast<long>(futures.size());
  if (sum != count * (count - 1) / 2) throw std::logic_error("a task is missing, or was run twice");
}

template <typename Submit>
void run_batch(int tasks, int work, Submit submit) {
  std::vector<std::future<int>> futures;
  futures.reserve(static_cast<std::size_t>(tasks));
  for (int i = 0; i < tasks; ++i) futures.push_back(submit(Task{i, work}));
  futures.back().wait();  // asleep until most are done, and not woken by each of them
  read_all(futures);
}

void run_tbb_batch(int tasks, int work) {
  std::vector<std::future<int>> futures;
  futures.reserve(static_cast<std::size_t>(tasks));
  oneapi::tbb::task_group group;
  for (int i = 0; i < tasks; ++i) {
    std::packaged_task<int()> task(Task{i, work});
    futures.push_back(task.get_future());
    group.run(ConstTask{std::move(task)});
  }
  group.wait();
  read_all(futures);
}

double time_of(int repeats, const std::function<void()>& action) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // until the side before this one sleeps
  action();
  const auto start = Clock::now();
  for (int i = 0; i < repeats; ++i) action();
  return Microseconds(Clock::now() - start).count() / repeats;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void batch_of_tasks(benchmark::State& state) {
  const int work = static_cast<int>(state.range(0));
  const std::size_t workers = allowed_cpus();
  ThreadPool ours(workers);
  PlainPool plain(workers);
  boost::asio::thread_pool asio(workers);

  struct Side {
    const char* name;
    std::function<void()> batch;
    int batches;
    std::vector<double> times;
  };
  auto submit_to = [](auto& pool) { return [&pool](Task task) { return pool.submit(task); }; };
  auto post = [&asio](Task task) { return boost::asio::post(asio, std::packaged_task<int()>(task)); };
  auto async = [](Task task) { return std::async(std::launch::async, task); };
  Side sides[] = {
      {"ours", [&] { run_batch(tasks_in_a_batch, work, submit_to(ours)); }, batches_in_a_turn, {}},
      {"tbb", [&] { run_tbb_batch(tasks_in_a_batch, work); }, batches_in_a_turn, {}},
      {"asio", [&] { run_batch(tasks_in_a_batch, work, post); }, batches_in_a_turn, {}},
      {"plain", [&] { run_batch(tasks_in_a_batch, work, submit_to(plain)); }, batches_in_a_turn, {}},
      {"async", [&] { run_batch(tasks_in_a_batch, work, async); }, 1, {}},
  };
  for (auto _ : state) {
    for (Side& side : sides) side.times.push_back(time_of(side.batches, side.batch));
    state.SetIterationTime(sides[0].times.back() / 1e6);
  }
  const double our_time = median(sides[0].times);
  double best = median(sides[1].times);
  for (Side& side : sides) {
    state.counters[side.name] = median(side.times);
    if (&side != &sides[0]) best = std::min(best, median(side.times));
  }
  state.counters["best/ours"] = best / our_time;
}
BENCHMARK(batch_of_tasks)
    ->ArgName("work")
    ->Arg(0)
    ->Arg(300)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond)
    ->Iterations(turns);

// 10,000 tasks, on the pool and with a thread for each of them.
void tasks_beside_threads_each(benchmark::State& state) {
  ThreadPool pool;
  std::vector<double> pool_times;
  std::vector<double> thread_times;
  for (auto _ : state) {
    pool_times.push_back(
        time_of(1, [&] { run_batch(tasks_beside_threads, 0, [&](Task task) { return pool.submit(task); }); }));
    thread_times.push_back(time_of(
        1, [] { run_batch(tasks_beside_threads, 0, [](Task task) { return std::async(std::launch::async, task); }); }));
    state.SetIterationTime(pool_times.back() / 1e6);
  }
  state.counters["pool"] = median(pool_times);
  state.counters["threads"] = median(thread_times);
  state.counters["threads/pool"] = median(thread_times) / median(pool_times);
}
BENCHMARK(tasks_beside_threads_each)->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(3);

}  // namespace
