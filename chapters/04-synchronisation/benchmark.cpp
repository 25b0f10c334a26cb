// What the chapter's primitives cost on this machine: the reference of each exercise beside what the standard library
// has for the same thing, one thread alone and several at once.
//
//   cmake --build build --target 04-synchronisation.bench && build/programs/benchmarks/04-synchronisation.bench
//
// The two sides take turns in one run, some thousand operations at a time, so that whatever else the machine does
// meets both. Each line shows the nanoseconds of one operation by the clock on the wall, `ours` and `std`, in the turn
// in the middle of all, and how they compare: at `std/ours` 2 the standard library's takes twice as long (k is 1000).
// The column Time is that of ours for one turn. Threads that wait for each other all the time are slow here: the
// references go to sleep at once, while the standard library's primitives try a few times first, which is the better
// bet if the other one runs at that moment.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <queue>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

#include <barrier.hpp>
#include <bounded_queue.hpp>
#include <event.hpp>
#include <mutex.hpp>
#include <safe_counter.hpp>
#include <semaphore.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// How much is done in a turn: by one thread; by all threads together, so that starting them does not count; and if each
// operation puts a thread to sleep and wakes it.
constexpr int alone_operations = 50'000;
constexpr int together_operations = 400'000;
constexpr int meeting_operations = 2'000;

void expect(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// Runs `work` in so many threads, this one among them, which all begin at the same time. Returns how long it takes
// until the last one is done.
Seconds time_of(int threads, const std::function<void(int)>& work) {
  std::barrier begin(threads);
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&, i] {
      begin.arrive_and_wait();
      work(i);
    });
  }
  begin.arrive_and_wait();
  const auto start = Clock::now();
  work(0);
  others.clear();
  return Clock::now() - start;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Lets the two sides take turns. Each gets the index of its thread, and does `operations` in all its threads together.
void compare(benchmark::State& state, int threads, double operations, const std::function<void(int)>& ours,
             const std::function<void(int)>& standard) {
  std::vector<double> our_times;
  std::vector<double> standard_times;
  for (auto _ : state) {
    our_times.push_back(time_of(threads, ours).count());
    standard_times.push_back(time_of(threads, standard).count());
    state.SetIterationTime(our_times.back());
  }
  const double our_time = median(our_times) * 1e9 / operations;
  const double standard_time = median(standard_times) * 1e9 / operations;
  state.counters["ours"] = our_time;
  state.counters["std"] = standard_time;
  state.counters["std/ours"] = standard_time / our_time;
}

int threads_of(const benchmark::State& state) { return static_cast<int>(state.range(0)); }

// All threads do the same thing, each its share of a turn.
template <typename Ours, typename Standard>
void compare_shares(benchmark::State& state, Ours ours, Standard standard) {
  const int threads = threads_of(state);
  const int operations = threads == 1 ? alone_operations : together_operations;
  auto share_of = [share = operations / threads](auto operation) {
    return [share, operation](int) {
      for (int i = 0; i < share; ++i) operation();
    };
  };
  compare(state, threads, operations, share_of(ours), share_of(standard));
}

void in_threads(benchmark::internal::Benchmark* benchmark, const std::vector<int>& counts) {
  benchmark->ArgName("threads")->UseManualTime()->Unit(benchmark::kMillisecond);
  for (int threads : counts) benchmark->Arg(threads);
}
void alone(benchmark::internal::Benchmark* benchmark) { in_threads(benchmark, {1}); }
void two_threads(benchmark::internal::Benchmark* benchmark) { in_threads(benchmark, {2}); }
void together(benchmark::internal::Benchmark* benchmark) { in_threads(benchmark, {2, 4}); }
void alone_and_together(benchmark::internal::Benchmark* benchmark) { in_threads(benchmark, {1, 2, 4}); }

// 4.1: a number under a lock, and an atomic number.
void counter_increment(benchmark::State& state) {
  SafeCounter ours;
  std::atomic<long> standard = 0;
  compare_shares(
      state, [&] { ours.increment(); }, [&] { ++standard; });
  expect(ours.value() == standard, "both count the same");
}
BENCHMARK(counter_increment)->Apply(alone_and_together);

// 4.2: lock and unlock, around an addition.
void mutex_lock_unlock(benchmark::State& state) {
  Mutex ours;
  std::mutex standard;
  long our_count = 0;
  long standard_count = 0;
  auto count = [](auto& lockable, long& number) {
    std::lock_guard lock(lockable);
    benchmark::DoNotOptimize(++number);
  };
  compare_shares(
      state, [&] { count(ours, our_count); }, [&] { count(standard, standard_count); });
  expect(our_count == standard_count, "both count the same");
}
BENCHMARK(mutex_lock_unlock)->Apply(alone_and_together);

// 4.3: acquire and release the only permit. Alone, the number is 0 at each release, and nobody waits.
void semaphore_acquire_release(benchmark::State& state) {
  Semaphore ours(1);
  std::counting_semaphore<> standard(1);
  auto pass = [](auto& semaphore) {
    semaphore.acquire();
    semaphore.release();
  };
  compare_shares(
      state, [&] { pass(ours); }, [&] { pass(standard); });
}
BENCHMARK(semaphore_acquire_release)->Apply(alone_and_together);

// 4.3: a permit to and fro between two threads, which wait for each other all the time.
void semaphore_to_and_fro(benchmark::State& state) {
  auto play = [](auto& mine, auto& theirs) {
    for (int i = 0; i < meeting_operations; ++i) {
      theirs.release();
      mine.acquire();
    }
  };
  Semaphore ours[] = {Semaphore(0), Semaphore(0)};
  std::counting_semaphore<> standard[] = {std::counting_semaphore<>(0), std::counting_semaphore<>(0)};
  compare(
      state, 2, 2 * meeting_operations, [&](int i) { play(ours[i], ours[1 - i]); },
      [&](int i) { play(standard[i], standard[1 - i]); });
}
BENCHMARK(semaphore_to_and_fro)->Apply(two_threads);

// What comes next to an event in the standard library: a flag with wait and notify.
class StandardEvent {
 public:
  void set() {
    flag_.test_and_set();
    flag_.notify_all();
  }
  void clear() { flag_.clear(); }
  void wait() const { flag_.wait(false); }

 private:
  std::atomic_flag flag_;
};

// 4.4: set, wait and clear, by one thread alone: nobody has to be woken.
void event_set_wait_clear(benchmark::State& state) {
  auto use = [](auto& event) {
    event.set();
    event.wait();
    event.clear();
  };
  Event ours;
  StandardEvent standard;
  compare_shares(
      state, [&] { use(ours); }, [&] { use(standard); });
}
BENCHMARK(event_set_wait_clear)->Apply(alone);

// 4.4: two threads that tell each other in turn.
void event_to_and_fro(benchmark::State& state) {
  auto play = [](auto& mine, auto& theirs, bool first) {
    for (int i = 0; i < meeting_operations; ++i) {
      if (first) theirs.set();
      mine.wait();
      mine.clear();
      if (!first) theirs.set();
    }
  };
  Event ours[2];
  StandardEvent standard[2];
  compare(
      state, 2, 2 * meeting_operations, [&](int i) { play(ours[i], ours[1 - i], i == 0); },
      [&](int i) { play(standard[i], standard[1 - i], i == 0); });
}
BENCHMARK(event_to_and_fro)->Apply(two_threads);

// The standard library has no queue between threads. The classical one out of its parts: a semaphore for what is there,
// one for what is free, and a mutex.
class QueueOfSemaphores {
 public:
  explicit QueueOfSemaphores(std::ptrdiff_t capacity) : free_(capacity) {}

  void push(int element) {
    free_.acquire();
    {
      std::lock_guard lock(mutex_);
      elements_.push(element);
    }
    filled_.release();
  }
  int pop() {
    filled_.acquire();
    std::unique_lock lock(mutex_);
    int element = elements_.front();
    elements_.pop();
    lock.unlock();
    free_.release();
    return element;
  }

 private:
  std::counting_semaphore<> free_;
  std::counting_semaphore<> filled_{0};
  std::mutex mutex_;
  std::queue<int> elements_;
};

constexpr int queue_capacity = 64;

// 4.5: push and pop, by one thread alone: there is always room, and then always an element.
void queue_push_pop(benchmark::State& state) {
  auto use = [](auto& queue) {
    queue.push(1);
    benchmark::DoNotOptimize(queue.pop());
  };
  BoundedQueue<int> ours(queue_capacity);
  QueueOfSemaphores standard(queue_capacity);
  compare_shares(
      state, [&] { use(ours); }, [&] { use(standard); });
}
BENCHMARK(queue_push_pop)->Apply(alone);

// 4.5: one half of the threads pushes, the other pops.
void queue_through(benchmark::State& state) {
  const int threads = threads_of(state);
  const int share = together_operations / threads;
  auto use = [share](auto& queue, int i) {
    for (int n = 0; n < share; ++n) {
      if (i % 2 == 0) {
        queue.push(n);
      } else {
        benchmark::DoNotOptimize(queue.pop());
      }
    }
  };
  BoundedQueue<int> ours(queue_capacity);
  QueueOfSemaphores standard(queue_capacity);
  compare(
      state, threads, together_operations / 2, [&](int i) { use(ours, i); }, [&](int i) { use(standard, i); });
}
BENCHMARK(queue_through)->Apply(together);

// 4.6: all threads meet, again and again. One operation is one meeting.
void barrier_round(benchmark::State& state) {
  const int threads = threads_of(state);
  Barrier ours(threads);
  std::barrier standard(threads);
  compare(
      state, threads, meeting_operations,
      [&](int) {
        for (int i = 0; i < meeting_operations; ++i) ours.wait();
      },
      [&](int) {
        for (int i = 0; i < meeting_operations; ++i) standard.arrive_and_wait();
      });
}
BENCHMARK(barrier_round)->Apply(together);

}  // namespace
