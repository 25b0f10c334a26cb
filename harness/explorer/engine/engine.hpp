#pragma once

#include <cstddef>
#include <cstdint>

#include "explorer/engine/thread.hpp"
#include "explorer/explorer.hpp"
#include "explorer/strategies/strategy.hpp"

namespace explorer {

/// What the child process tells the one that started it, in memory that both have mapped.
struct Outcome;
struct RawWaiting;

/// The engine: who may run, whose turn it is, what time it is, and how a schedule ends. There is one, used from one
/// kernel thread; while a schedule runs, `active` says so and every intercepted call comes here.
///
/// An intercepted operation has this shape:
///
///   engine.point({OperationKind::store, true, address});   // the schedule may switch here, before it happens
///   ... what it does ...
///
/// or, where it may have to wait, engine.contend() or engine.wait() in place of point().
class Engine {
 public:
  /// Maps what it needs. To be called before the first schedule, when there is one thread.
  void set_up(Outcome& outcome, bool hand_over);

  /// Explores in this process until a schedule fails or the portfolio is through; results are in the outcome. With
  /// `trace_schedule`, the schedule of that number is traced, and the exploration ends with it.
  void run(const std::function<void()>& body, const Options& options, std::uint64_t trace_schedule);
  static constexpr std::uint64_t no_trace = ~std::uint64_t{0};

  // --- for the layers that intercept ---

  Thread& current() { return *current_; }
  Thread& thread(int id) { return threads_[id]; }
  int thread_count() const { return thread_count_; }
  int width() const { return width_; }
  std::uint32_t generation() const { return generation_; }
  std::int64_t now() const { return now_; }
  /// Whether a schedule is under way, be it in the program's code or in the engine's.
  bool in_schedule() const { return in_schedule_; }
  std::uint64_t steps() const { return steps_ + (schedule_ << 20); }
  bool tracing() const { return tracing_; }
  bool old_stores() const { return phase_.old_stores; }
  bool spurious_wakes() const { return phase_.spurious_wake; }
  bool race_detection() const { return race_detection_; }

  /// The engine's view of the object at `address`.
  SyncObject& object(const volatile void* address);

  /// A visible operation, which may go on whenever its thread may.
  void point(const Operation& operation);

  /// A visible operation that takes something: the thread is disabled while `may_go` is false. False: `deadline`
  /// passed.
  bool contend(const Operation& operation, SyncObject& object, WaitReason reason, MayGo may_go,
               std::int64_t deadline = never);

  /// Waits to be notified. False: `deadline` passed first. If `mutex`, contends for it before it returns.
  bool wait(SyncObject& object, WaitReason reason, std::int64_t deadline = never, SyncObject* mutex = nullptr);

  /// Something about `object` has changed: those that contend for it may or may not go now.
  void changed(SyncObject& object);

  /// Wakes at most n of those that wait() on `object`; who, is for the strategy. Returns how many.
  int notify(SyncObject& object, int n);

  /// A value that the strategy chooses.
  int choose_value(int n, ValueKind kind);

  /// Whether what may fail or end for no reason does so now.
  bool happens_for_no_reason();

  void yield();
  void sleep_until(std::int64_t deadline);
  /// The virtual clock as a thread reads it: later with each reading in a row, so that a loop until then ends.
  std::int64_t read_clock();

  /// The current thread read `value` from `object`. When it has done so `a_spin` times in a row, it spins: others go
  /// first from then on. A spin of loads may be one of the short ones before a sleep (libstdc++'s makes 16).
  static constexpr int spin_of_loads = 24, spin_of_exchanges = 3;
  void note_read(const volatile void* object, std::uint64_t value, int a_spin = spin_of_exchanges);
  /// How often in a row the current thread has read the same value from `object`.
  int times_read(const volatile void* object) const;
  /// The value that it read last, if times_read() is not 0.
  std::uint64_t last_read(const volatile void* object) const;
  /// The current thread changed `object`: whoever spins on it looks again.
  void note_write(const volatile void* object);
  /// Plain accesses since the last point: so many that the thread may be spinning on a plain variable.
  void note_quiet_access();

  /// A new thread of the schedule, or null if there are max_threads. It starts when it is chosen.
  Thread* create(void* (*start)(void*), void* argument);

  /// Ends the schedule: it has failed. Does not return.
  [[noreturn]] void fail(Failure failure, const char* message, const char* file = nullptr, int line = 0);

  // Happens-before.
  void acquire(const SyncObject& object) { current_->clock.join(object.clock, width_); }
  void release(SyncObject& object) {
    object.clock.join(current_->clock, width_);
    tick();
  }
  void tick() { ++current_->clock.time[current_->id]; }

  // The trace. No-ops unless tracing().
  void note_step(OperationKind kind, const volatile void* object, bool quiet = false);
  void note_value(std::uint64_t value, std::size_t size = sizeof(std::uint64_t));
  void note_update(std::uint64_t before, std::uint64_t after, std::size_t size);
  void note_comparison(std::uint64_t found, std::size_t size);  // of an exchange that did not happen
  void note_access(const volatile void* address, std::size_t size, bool writes);
  void note_where_it_waits();
  void note_race(const volatile void* object, std::size_t size, int other_thread, bool other_writes);

 private:
  static void fiber_entry();
  void run_body();
  void run_thread();
  void run_destructors();
  void finish();
  void begin_schedule(std::uint64_t number);
  void end_schedule();
  bool run_phase(const Phase& phase, std::uint64_t seed);

  Thread& choose();
  int fair_choice(const std::uint8_t* candidates, int count) const;
  void go_on_with(Thread& next);
  void reschedule();
  void make_runnable(Thread& thread);
  void make_blocked(Thread& thread);
  void set_deadline(Thread& thread, std::int64_t deadline);
  void clear_deadline(Thread& thread);
  void expire(Thread& thread);
  Thread* nearest_deadline();
  void forget_reads(Thread& thread);
  void leave_queue(int& first, Thread& thread);
  void contend_for_mutex(Thread& thread);
  [[noreturn]] void nobody_can_run();
  void report_waiting();
  void report_where_it_waits(int thread, RawWaiting& waiting) const;

  Thread* current_ = nullptr;
  Thread* threads_ = nullptr;
  Fiber* fibers_ = nullptr;
  Fiber controller_;
  char* stacks_ = nullptr;
  int fibers_created_ = 0;
  int thread_count_ = 0, live_ = 0;
  int width_ = 8;

  std::uint8_t runnable_[max_threads] = {};
  std::int16_t runnable_at_[max_threads] = {};
  int runnable_count_ = 0;
  int aside_ = 0;  // runnable threads that yielded or spin
  std::uint8_t timed_[max_threads] = {};
  int timed_count_ = 0;
  Operation pending_[max_threads] = {};
  std::uint64_t last_ran_[max_threads] = {};

  SyncObject* objects_ = nullptr;
  std::uint32_t generation_ = 0;

  const std::function<void()>* body_ = nullptr;
  Outcome* outcome_ = nullptr;
  Strategy* strategy_ = nullptr;
  Phase phase_;
  bool race_detection_ = true;
  std::uint32_t step_limit_ = 20'000;
  std::uint64_t schedule_ = 0, trace_schedule_ = no_trace;
  std::uint64_t steps_ = 0, steps_unseen_ = 0;  // the latter are plain accesses by the thousands
  std::uint64_t choices_ = 0;
  int early_time_outs_ = 0, spurious_ = 0;
  bool fair_ = false;
  bool failed_ = false;
  bool cut_ = false;
  bool tracing_ = false;
  bool in_schedule_ = false;
  std::int64_t now_ = 0;
};

extern Engine engine;

/// Whether the running thread is one of a schedule, and not the engine on its behalf.
extern bool active;

/// While it lives, what is called is not part of the schedule.
class Unobserved {
 public:
  Unobserved() : before_(active) { active = false; }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;
  ~Unobserved() { active = before_; }

 private:
  bool before_;
};

}  // namespace explorer
