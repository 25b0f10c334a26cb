// The engine: a schedule from its beginning to its end.

#include "explorer/engine/engine.hpp"

#include <sys/mman.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "explorer/intercept/allocation.hpp"
#include "explorer/intercept/real.hpp"
#include "explorer/intercept/thread_ends.hpp"
#include "explorer/memory/race_detector.hpp"
#include "explorer/memory/store_history.hpp"
#include "explorer/trace/outcome.hpp"

namespace explorer {

Engine engine;
bool active = false;

namespace {

constexpr std::size_t object_slots = 1 << 12;  // a power of two

void* map(std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

double seconds_now() {
  timespec time{};
  real().clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

bool all_others_ended(const Thread&) { return engine.thread_count() > 0 && engine.object(&engine).count == 1; }

const char* name_of_strategy(const Phase& phase) {
  switch (phase.strategy) {
    case StrategyKind::systematic:
      return "systematic search";
    case StrategyKind::surw:
      return "SURW";
    case StrategyKind::pos:
      return "POS";
    case StrategyKind::pct:
      return "PCT";
    case StrategyKind::random:
      return "random";
  }
  return "";
}

}  // namespace

void Engine::set_up(Outcome& outcome, bool hand_over) {
  outcome_ = &outcome;
  if (threads_ != nullptr) return;
  choose_fibers(hand_over);
  threads_ = static_cast<Thread*>(map(sizeof(Thread) * max_threads));
  fibers_ = static_cast<Fiber*>(map(sizeof(Fiber) * max_threads));
  stacks_ = static_cast<char*>(map(fiber_stack_size * max_threads));
  // A page that cannot be touched below each stack: recursion without end is a crash and not another thread's memory.
  for (int i = 0; i < max_threads; ++i)
    ::mprotect(stacks_ + static_cast<std::size_t>(i) * fiber_stack_size, 4096, PROT_NONE);
  objects_ = static_cast<SyncObject*>(map(sizeof(SyncObject) * object_slots));
  real();
  set_up_allocation();
  set_up_race_detector(stacks_, fiber_stack_size * max_threads);
  set_up_store_histories();
}

// --- a schedule from its beginning to its end ---

void Engine::run(const std::function<void()>& body, const Options& options, std::uint64_t trace_schedule) {
  body_ = &body;
  race_detection_ = options.race_detection;
  step_limit_ = options.step_limit;
  trace_schedule_ = trace_schedule;
  outcome_->complete_bound = -1;
  fiber_adopt(controller_);
  double began = seconds_now();
  std::uint64_t phase_number = 0;
  for (const Phase& phase : options.portfolio) {
    ++phase_number;
    bool go_on = run_phase(phase, options.seed * 1'000'003 + phase_number);
    outcome_->seconds = seconds_now() - began;
    if (!go_on) return;
  }
  outcome_->finished = true;
}

bool Engine::run_phase(const Phase& phase, std::uint64_t seed) {
  // What every bounded search would only repeat has been seen.
  if (phase.strategy == StrategyKind::systematic && !phase.old_stores && !phase.spurious_wake &&
      outcome_->complete_bound >= phase.bound)
    return true;
  std::unique_ptr<Strategy> strategy = make_strategy(phase, seed);
  strategy_ = strategy.get();
  phase_ = phase;
  std::uint64_t number = 0;
  for (; number < phase.budget; ++number) {
    bool learnt = learn_shared_addresses();
    if (phase.strategy == StrategyKind::systematic && learnt && number > 0) {
      // New places to switch: what was seen was less than every schedule, so it begins again with what budget is left.
      strategy = make_strategy(phase, seed);
      strategy_ = strategy.get();
      if (!strategy->begin(0)) break;
      outcome_->within_bound = 0;
    } else if (!strategy->begin(number == 0 ? 0 : number)) {
      if (phase.strategy == StrategyKind::systematic && !phase.old_stores && !phase.spurious_wake &&
          outcome_->cut == 0) {
        outcome_->complete_bound = phase.bound;
        outcome_->within_bound = number;
      }
      break;
    }
    tracing_ = schedule_ == trace_schedule_;
    begin_schedule(number);
    in_schedule_ = true;
    fiber_switch(controller_, *threads_[0].fiber);
    in_schedule_ = false;
    end_schedule();
    if (failed_) {
      std::snprintf(outcome_->strategy, sizeof(outcome_->strategy), "%s%s%s%s", name_of_strategy(phase),
                    phase.old_stores ? " with old stores" : "",
                    phase.spurious_wake ? (phase.old_stores ? " and" : " with") : "",
                    phase.spurious_wake ? " spurious wake-ups" : "");
      outcome_->choices = choices_;
      return false;
    }
    if (tracing_) return false;
  }
  return true;
}

void Engine::begin_schedule(std::uint64_t) {
  ++generation_;
  now_ = 0;
  steps_ = steps_unseen_ = 0;
  choices_ = 0xcbf29ce484222325ULL;
  early_time_outs_ = spurious_ = 0;
  fair_ = failed_ = cut_ = false;
  runnable_count_ = timed_count_ = aside_ = thread_count_ = live_ = 0;
  current_ = nullptr;
  Thread* body_thread = create(nullptr, nullptr);
  body_thread->clock.time[0] = 1;
  current_ = body_thread;
}

void Engine::end_schedule() {
  ++schedule_;
  outcome_->schedules = schedule_;
  outcome_->steps += steps_;
  if (cut_) ++outcome_->cut;
  strategy_->end(steps_);
  if (!failed_) recycle_allocations();
}

Thread* Engine::create(void* (*start)(void*), void* argument) {
  if (thread_count_ == max_threads) return nullptr;
  int id = thread_count_;
  if (id == fibers_created_) {
    Unobserved unobserved;
    if (!fiber_create(fibers_[id], stacks_ + static_cast<std::size_t>(id) * fiber_stack_size)) return nullptr;
    ++fibers_created_;
  }
  ++thread_count_;
  if (VectorClock::blocks(thread_count_) > width_) width_ = VectorClock::blocks(thread_count_);
  Thread& thread = threads_[id];
  thread.id = id;
  thread.state = Thread::State::unused;
  thread.reason = WaitReason::none;
  thread.object = thread.mutex = nullptr;
  thread.may_go = nullptr;
  thread.target = nullptr;
  thread.notified = thread.expired = thread.detached = thread.joined = thread.spinning = false;
  thread.yielded = thread.has_yielded = false;
  thread.deadline = never;
  thread.spin_object = nullptr;
  forget_reads(thread);
  thread.fruitless_rounds = 0;
  thread.quiet_accesses = 0;
  thread.clock_reads = 0;
  thread.has_fence_released = false;
  thread.fence_pending.clear(width_);
  thread.destructor_count = thread.robust_held_count = 0;
  thread.start = start;
  thread.argument = argument;
  thread.result = nullptr;
  thread.fiber = &fibers_[id];
  if (current_ != nullptr) {
    thread.clock.clear(width_);
    thread.clock.join(current_->clock, width_);
    tick();
  } else {
    thread.clock.clear(width_);
  }
  thread.clock.time[id] = 1;
  last_ran_[id] = 0;
  pending_[id] = {OperationKind::start, false, nullptr};
  fiber_prepare(*thread.fiber, &Engine::fiber_entry);
  ++live_;
  object(this).count = live_;
  make_runnable(thread);
  strategy_->created(id);
  return &thread;
}

void Engine::fiber_entry() {
  Thread& me = *engine.current_;
  if (me.id == 0) {
    engine.run_body();
  } else {
    engine.run_thread();
  }
  engine.finish();
}

void Engine::run_body() {
  active = true;
  try {
    (*body_)();
  } catch (const std::exception& exception) {
    char message[512];
    std::snprintf(message, sizeof(message), "an exception left the test's body: %s", exception.what());
    fail(Failure::crash, message);
  } catch (...) {
    fail(Failure::crash, "an exception left the test's body");
  }
  run_destructors();
  // Detached threads, and threads that a failed join forgot, belong to the schedule too.
  SyncObject& all = object(this);
  if (all.count > 1) contend({OperationKind::join, false, this}, all, WaitReason::threads, all_others_ended);
}

void Engine::run_thread() {
  Thread& me = *current_;
  note_step(OperationKind::start, nullptr);
  active = true;
  // An exception that leaves a thread is std::terminate ([thread.thread.constr]/6).
  [&]() noexcept { me.result = me.start(me.argument); }();
  run_destructors();
  abandon_robust_mutexes();
}

void Engine::run_destructors() {
  Thread& me = *current_;
  while (me.destructor_count > 0) {
    Thread::Destructor destructor = me.destructors[--me.destructor_count];
    destructor.run(destructor.object);
  }
  run_key_destructors();
}

void Engine::finish() {
  Thread& me = *current_;
  active = false;
  note_step(OperationKind::finish, nullptr);
  me.state = Thread::State::finished;
  make_blocked(me);
  me.state = Thread::State::finished;
  --live_;
  if (me.id == 0) fiber_leave(*me.fiber, controller_);
  SyncObject& all = object(this);
  all.count = live_;
  changed(all);
  changed(object(&me));
  Thread& next = choose();
  current_ = &next;
  fiber_leave(*me.fiber, *next.fiber);
}

void Engine::fail(Failure failure, const char* message, const char* file, int line) {
  active = false;
  failed_ = true;
  outcome_->failure = failure;
  std::snprintf(outcome_->message, sizeof(outcome_->message), "%s", message);
  std::snprintf(outcome_->file, sizeof(outcome_->file), "%s", file != nullptr ? file : "");
  outcome_->line = line;
  report_waiting();
  fiber_switch(*current_->fiber, controller_);
  __builtin_trap();
}

// --- ends ---

void Engine::nobody_can_run() {
  // Whoever waits; the message tells of all.
  for (int i = 0; i < thread_count_; ++i) {
    if (threads_[i].state == Thread::State::blocked) {
      current_ = &threads_[i];
      break;
    }
  }
  fail(Failure::deadlock, "every thread that has not ended waits, and none can wake another");
}

void Engine::report_waiting() {
  static const char* const words[] = {"",
                                      "a mutex",
                                      "a notification",
                                      "the end of a thread",
                                      "a notification",
                                      "a permit of a semaphore",
                                      "a lock for reading",
                                      "a lock for writing",
                                      "time to pass",
                                      "others to arrive at a barrier",
                                      "another thread's initialisation",
                                      "the end of the other threads"};
  outcome_->waiting_count = 0;
  for (int i = 0; i < thread_count_; ++i) {
    const Thread& thread = threads_[i];
    if (thread.state != Thread::State::blocked || thread.reason == WaitReason::none) continue;
    // Woken, and now it needs the mutex back.
    bool for_mutex = thread.mutex != nullptr && thread.may_go != nullptr;
    const SyncObject* object = for_mutex ? thread.mutex : thread.object;
    const char* what = for_mutex ? words[1] : words[static_cast<int>(thread.reason)];
    int holder = thread.target != nullptr ? thread.target->id : object != nullptr ? object->owner : -1;
    RawWaiting& waiting = outcome_->waiting[outcome_->waiting_count++];
    waiting.thread = i;
    waiting.waits_for = what;
    waiting.object = reinterpret_cast<std::uintptr_t>(object != nullptr ? object->address : nullptr);
    waiting.held_by = holder;
    report_where_it_waits(i, waiting);
  }
}

// --- objects ---

SyncObject& Engine::object(const volatile void* address) {
  auto hash = (reinterpret_cast<std::uintptr_t>(address) >> 2) * 0x9E3779B97F4A7C15ULL >> 40;
  for (std::size_t probe = 0; probe < object_slots; ++probe) {
    SyncObject& object = objects_[(hash + probe) & (object_slots - 1)];
    if (object.generation == generation_ && object.address == address) return object;
    if (object.generation == generation_) continue;
    object.address = address;
    object.generation = generation_;
    object.owner = object.first_contender = object.first_waiter = -1;
    object.count = object.readers = 0;
    object.robustness = Robustness::consistent;
    object.clock.clear(width_);
    object.read_clock.clear(width_);
    return object;
  }
  fail(Failure::unsupported, "more than 4096 mutexes, condition variables and other such objects in one schedule");
}

}  // namespace explorer
