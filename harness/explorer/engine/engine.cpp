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
constexpr int most_early_time_outs = 2;
// Threads that could run may be kept from it for a while, but not for ever: who waits for an hour waits for an event.
constexpr std::int64_t slowest_machine = 60'000'000'000;  // virtual nanoseconds
constexpr std::int64_t step_time = 100;                   // virtual nanoseconds

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
      return "systematic";
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

void Engine::set_up(Outcome& outcome) {
  outcome_ = &outcome;
  if (threads_ != nullptr) return;
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
      std::snprintf(outcome_->strategy, sizeof(outcome_->strategy), "%s%s%s", name_of_strategy(phase),
                    phase.old_stores ? " with old stores" : "", phase.spurious_wake ? " with spurious wake-ups" : "");
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
  steps_ = 0;
  choices_ = 0xcbf29ce484222325ULL;
  early_time_outs_ = spurious_ = 0;
  fair_ = failed_ = cut_ = false;
  runnable_count_ = timed_count_ = aside_ = thread_count_ = live_ = 0;
  current_ = nullptr;
  begin_race_detection();
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
  thread.notified = thread.expired = thread.detached = thread.joined = thread.spinning = thread.yielded = false;
  thread.deadline = never;
  thread.spin_object = nullptr;
  forget_reads(thread);
  thread.fruitless_rounds = 0;
  thread.quiet_accesses = 0;
  thread.clock_reads = 0;
  thread.has_fence_released = false;
  thread.fence_pending.clear(width_);
  thread.destructor_count = 0;
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

// --- whose turn it is ---

void Engine::make_runnable(Thread& thread) {
  if (thread.state == Thread::State::runnable) return;
  thread.state = Thread::State::runnable;
  runnable_at_[thread.id] = static_cast<std::int16_t>(runnable_count_);
  runnable_[runnable_count_++] = static_cast<std::uint8_t>(thread.id);
  if (thread.spinning || thread.yielded) ++aside_;
}

void Engine::make_blocked(Thread& thread) {
  bool was_runnable = runnable_count_ > 0 && runnable_at_[thread.id] < runnable_count_ &&
                      runnable_[runnable_at_[thread.id]] == thread.id;
  thread.state = Thread::State::blocked;
  if (!was_runnable) return;
  int at = runnable_at_[thread.id];
  std::uint8_t last = runnable_[--runnable_count_];
  runnable_[at] = last;
  runnable_at_[last] = static_cast<std::int16_t>(at);
  if (thread.spinning || thread.yielded) --aside_;
}

int Engine::fair_choice(const std::uint8_t* candidates, int count) const {
  int best = candidates[0];
  for (int i = 1; i < count; ++i) {
    if (last_ran_[candidates[i]] < last_ran_[best]) best = candidates[i];
  }
  return best;
}

Thread& Engine::choose() {
  // A spin goes round this often before it is believed that nothing will change.
  constexpr int most_fruitless_rounds = 4;
  std::uint8_t some[max_threads + 1];
  for (;;) {
    if (runnable_count_ == 0) {
      Thread* nearest = nearest_deadline();
      if (nearest == nullptr) nobody_can_run();
      expire(*nearest);
      continue;
    }
    const std::uint8_t* candidates = runnable_;
    int count = runnable_count_;
    bool all_aside = false;
    if (aside_ > 0) {
      count = 0;
      for (int i = 0; i < runnable_count_; ++i) {
        const Thread& thread = threads_[runnable_[i]];
        if (!thread.spinning && !thread.yielded) some[count++] = runnable_[i];
      }
      candidates = some;
      if (count == 0) {
        // Who yielded has let the others go first; who spins may look once more, unless all do so in vain.
        bool only_spins = true;
        int least = most_fruitless_rounds;
        for (int i = 0; i < runnable_count_; ++i) {
          const Thread& thread = threads_[runnable_[i]];
          only_spins = only_spins && thread.spinning;
          if (thread.fruitless_rounds < least) least = thread.fruitless_rounds;
        }
        if (only_spins && least >= most_fruitless_rounds) {
          Thread* nearest = nearest_deadline();
          if (nearest == nullptr) {
            current_ = &threads_[runnable_[0]];
            fail(Failure::livelock, "every thread that could run spins, and none changes what another one reads");
          }
          expire(*nearest);
          continue;
        }
        all_aside = true;
        std::memcpy(some, runnable_, static_cast<std::size_t>(runnable_count_));
        count = runnable_count_;
      }
    }
    int chosen = candidates[0];
    if (all_aside || fair_) {
      chosen = fair_choice(candidates, count);
    } else {
      // A time-out may fire although others could still run: on a real machine they may be slow.
      if (timed_count_ > 0 && phase_.spurious_wake && early_time_outs_ < most_early_time_outs) {
        Thread& nearest = *nearest_deadline();
        if (nearest.deadline - now_ <= slowest_machine && choose_value(2, ValueKind::time_out) == 1) {
          ++early_time_outs_;
          expire(nearest);
          continue;
        }
      }
      if (count > 1) {
        bool current_can = current_->state == Thread::State::runnable && !current_->spinning && !current_->yielded;
        Candidates all{candidates, count,     current_can ? current_->id : -1,
                       pending_,   last_ran_, current_->yielded || current_->spinning};
        chosen = strategy_->next_thread(all);
        choices_ = (choices_ ^ static_cast<std::uint64_t>(chosen)) * 0x100000001b3ULL;
      }
    }
    Thread& thread = threads_[chosen];
    if (thread.spinning) {
      thread.spinning = false;
      if (!thread.yielded) --aside_;
      ++thread.fruitless_rounds;
    }
    // Somebody moved, so those that yielded are candidates again.
    for (int i = 0; aside_ > 0 && i < runnable_count_; ++i) {
      Thread& other = threads_[runnable_[i]];
      if (!other.yielded) continue;
      other.yielded = false;
      if (!other.spinning) --aside_;
    }
    last_ran_[chosen] = ++steps_;
    now_ += step_time;
    strategy_->took(chosen, pending_[chosen]);
    return thread;
  }
}

void Engine::go_on_with(Thread& next) {
  Thread& me = *current_;
  if (&next == &me) return;
  current_ = &next;
  // The Unobserved of whoever switches is its own; a thread that is switched to is always in the schedule.
  fiber_switch(*me.fiber, *next.fiber);
}

void Engine::reschedule() {
  if (steps_ >= step_limit_) {
    if (steps_ >= 2 * static_cast<std::uint64_t>(step_limit_)) {
      char message[160];
      std::snprintf(message, sizeof(message),
                    "after %llu steps, the last half of them with fair turns for all, the threads still had not ended",
                    static_cast<unsigned long long>(steps_));
      fail(Failure::livelock, message);
    }
    fair_ = cut_ = true;
  }
  go_on_with(choose());
}

void Engine::point(const Operation& operation) {
  Thread& me = *current_;
  active = false;
  me.quiet_accesses = 0;
  pending_[me.id] = operation;
  reschedule();
  note_step(operation.kind, operation.object);
  active = true;
}

bool Engine::contend(const Operation& operation, SyncObject& object, WaitReason reason, MayGo may_go,
                     std::int64_t deadline) {
  Thread& me = *current_;
  active = false;
  me.quiet_accesses = 0;
  pending_[me.id] = operation;
  me.object = &object;
  me.reason = reason;
  me.may_go = may_go;
  me.expired = false;
  me.next_waiting = object.first_contender;
  object.first_contender = me.id;
  if (deadline != never) set_deadline(me, deadline);
  if (!may_go(me)) {
    make_blocked(me);
    forget_reads(me);
  }
  reschedule();
  leave_queue(object.first_contender, me);
  clear_deadline(me);
  me.object = nullptr;
  me.may_go = nullptr;
  me.reason = WaitReason::none;
  note_step(me.expired ? OperationKind::timed_out : operation.kind, operation.object);
  active = true;
  return !me.expired;
}

bool Engine::wait(SyncObject& object, WaitReason reason, std::int64_t deadline, SyncObject* mutex) {
  Thread& me = *current_;
  active = false;
  me.object = &object;
  me.mutex = mutex;
  me.reason = reason;
  me.notified = me.expired = false;
  me.next_waiting = -1;
  int* last = &object.first_waiter;
  while (*last >= 0) last = &threads_[*last].next_waiting;
  *last = me.id;
  pending_[me.id] = {OperationKind::woken, true, mutex != nullptr ? mutex->address : object.address};
  make_blocked(me);
  if (deadline != never) set_deadline(me, deadline);
  bool spurious = phase_.spurious_wake && spurious_ < most_early_time_outs &&
                  (reason == WaitReason::condition || reason == WaitReason::futex) &&
                  choose_value(2, ValueKind::spurious) == 1;
  if (spurious) {
    ++spurious_;
    leave_queue(object.first_waiter, me);
    clear_deadline(me);
    me.notified = true;
    if (mutex != nullptr) {
      contend_for_mutex(me);
    } else {
      make_runnable(me);
    }
  }
  reschedule();
  forget_reads(me);
  if (mutex != nullptr) leave_queue(mutex->first_contender, me);
  clear_deadline(me);
  me.object = me.mutex = nullptr;
  me.may_go = nullptr;
  me.reason = WaitReason::none;
  note_step(spurious      ? OperationKind::spurious
            : me.notified ? OperationKind::woken
                          : OperationKind::timed_out,
            object.address);
  active = true;
  return me.notified;
}

void Engine::contend_for_mutex(Thread& thread) {
  thread.may_go = [](const Thread& waiter) { return waiter.mutex->owner < 0; };
  thread.next_waiting = thread.mutex->first_contender;
  thread.mutex->first_contender = thread.id;
  if (thread.may_go(thread)) make_runnable(thread);
}

void Engine::changed(SyncObject& object) {
  for (int id = object.first_contender; id >= 0; id = threads_[id].next_waiting) {
    Thread& thread = threads_[id];
    // Who timed out on a lock goes without it; who timed out on a condition variable still needs the mutex.
    if ((thread.expired && thread.mutex == nullptr) || thread.may_go(thread)) {
      make_runnable(thread);
    } else {
      make_blocked(thread);
    }
  }
}

int Engine::notify(SyncObject& object, int n) {
  int woken = 0;
  while (woken < n && object.first_waiter >= 0) {
    int waiting = 0;
    for (int id = object.first_waiter; id >= 0; id = threads_[id].next_waiting) ++waiting;
    int which = n - woken < waiting ? choose_value(waiting, ValueKind::waiter) : 0;
    int id = object.first_waiter;
    while (which-- > 0) id = threads_[id].next_waiting;
    Thread& thread = threads_[id];
    leave_queue(object.first_waiter, thread);
    clear_deadline(thread);
    thread.notified = true;
    if (thread.mutex != nullptr) {
      contend_for_mutex(thread);
    } else {
      make_runnable(thread);
    }
    ++woken;
  }
  return woken;
}

void Engine::leave_queue(int& first, Thread& thread) {
  int* link = &first;
  while (*link >= 0 && *link != thread.id) link = &threads_[*link].next_waiting;
  if (*link == thread.id) *link = thread.next_waiting;
}

int Engine::choose_value(int n, ValueKind kind) {
  if (n <= 1) return 0;
  int value = strategy_->next_value(n, kind);
  choices_ = (choices_ ^ static_cast<std::uint64_t>(value + 200)) * 0x100000001b3ULL;
  return value;
}

// --- time ---

void Engine::set_deadline(Thread& thread, std::int64_t deadline) {
  thread.deadline = deadline;
  timed_[timed_count_++] = static_cast<std::uint8_t>(thread.id);
}

void Engine::clear_deadline(Thread& thread) {
  if (thread.deadline == never) return;
  thread.deadline = never;
  for (int i = 0; i < timed_count_; ++i) {
    if (timed_[i] != thread.id) continue;
    timed_[i] = timed_[--timed_count_];
    return;
  }
}

Thread* Engine::nearest_deadline() {
  Thread* nearest = nullptr;
  for (int i = 0; i < timed_count_; ++i) {
    Thread& thread = threads_[timed_[i]];
    if (nearest == nullptr || thread.deadline < nearest->deadline ||
        (thread.deadline == nearest->deadline && thread.id < nearest->id))
      nearest = &thread;
  }
  return nearest;
}

void Engine::expire(Thread& thread) {
  if (thread.deadline > now_) now_ = thread.deadline;
  clear_deadline(thread);
  thread.expired = true;
  if (thread.may_go != nullptr && thread.mutex != nullptr) return;  // woken before, and still without the mutex
  if (thread.may_go == nullptr && thread.object != nullptr) {
    leave_queue(thread.object->first_waiter, thread);
    if (thread.mutex != nullptr) {
      contend_for_mutex(thread);
      return;
    }
  }
  make_runnable(thread);
  // Time has passed, so who spins may see something new.
  for (int i = 0; i < runnable_count_; ++i) threads_[runnable_[i]].fruitless_rounds = 0;
}

void Engine::forget_reads(Thread& thread) {
  for (auto& seen : thread.seen) seen = {nullptr, 0, 0};
}

void Engine::yield() {
  Thread& me = *current_;
  // Who yields between looks at a value that does not change will be set aside for that, if it goes on and on. Some
  // spins are short and then sleep (libstdc++'s atomic waits), and must get there.
  for (const auto& seen : me.seen) {
    if (seen.times >= 2) return;
  }
  if (!me.yielded) {
    me.yielded = true;
    if (!me.spinning) ++aside_;
  }
  strategy_->yielded(me.id);
  point({OperationKind::yield, false, nullptr});
}

void Engine::sleep_until(std::int64_t deadline) {
  point({OperationKind::sleep, false, nullptr});
  if (deadline <= now_) return;
  Thread& me = *current_;
  active = false;
  me.reason = WaitReason::sleep;
  me.expired = false;
  make_blocked(me);
  set_deadline(me, deadline);
  reschedule();
  me.reason = WaitReason::none;
  active = true;
}

std::int64_t Engine::read_clock() {
  constexpr std::uint32_t most_doublings = 20;
  Thread& me = *current_;
  std::uint32_t doublings = me.clock_reads < most_doublings ? me.clock_reads : most_doublings;
  ++me.clock_reads;
  now_ += std::int64_t{1000} << doublings;
  return now_;
}

// --- spinning ---

void Engine::note_read(const volatile void* object, std::uint64_t value, int a_spin) {
  Thread& me = *current_;
  for (auto& seen : me.seen) {
    if (seen.object != object) continue;
    if (seen.value != value) {
      seen = {object, value, 1};
      me.fruitless_rounds = 0;
      return;
    }
    if (++seen.times < a_spin) return;
    if (!me.spinning) {
      me.spinning = true;
      if (!me.yielded) ++aside_;
      strategy_->yielded(me.id);
    }
    me.spin_object = object;
    return;
  }
  me.seen[me.seen_next] = {object, value, 1};
  me.seen_next = (me.seen_next + 1) % 4;
}

int Engine::times_read(const volatile void* object) const {
  for (const auto& seen : current_->seen) {
    if (seen.object == object) return seen.times;
  }
  return 0;
}

std::uint64_t Engine::last_read(const volatile void* object) const {
  for (const auto& seen : current_->seen) {
    if (seen.object == object) return seen.value;
  }
  return 0;
}

void Engine::note_write(const volatile void* object) {
  Thread& me = *current_;
  forget_reads(me);
  me.fruitless_rounds = 0;
  me.clock_reads = 0;
  if (me.spinning) {
    me.spinning = false;
    if (!me.yielded) --aside_;
  }
  if (aside_ == 0) return;
  for (int i = 0; i < runnable_count_; ++i) {
    Thread& other = threads_[runnable_[i]];
    other.fruitless_rounds = 0;
    if (!other.spinning || (object != nullptr && other.spin_object != object)) continue;
    other.spinning = false;
    forget_reads(other);
    if (!other.yielded) --aside_;
  }
}

void Engine::note_quiet_access() {
  constexpr std::uint32_t too_quiet = 20'000;
  if (++current_->quiet_accesses < too_quiet) return;
  yield();
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
    outcome_->waiting[outcome_->waiting_count++] = {
        i, what, reinterpret_cast<std::uintptr_t>(object != nullptr ? object->address : nullptr), holder};
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
    object.clock.clear(width_);
    object.read_clock.clear(width_);
    return object;
  }
  fail(Failure::unsupported, "more than 4096 mutexes, condition variables and other such objects in one schedule");
}

// --- the trace ---

void Engine::note_step(OperationKind kind, const volatile void* object, bool quiet) {
  if (!tracing_ || outcome_->step_count == most_steps) return;
  Unobserved unobserved;
  RawStep& step = outcome_->steps_traced[outcome_->step_count++];
  step.thread = static_cast<std::uint8_t>(current_->id);
  step.operation = kind;
  step.quiet = quiet;
  step.has_value = false;
  step.object = reinterpret_cast<std::uintptr_t>(object);
  step.frame_count = static_cast<std::uint8_t>(walk_stack(step.frames, most_frames));
}

void Engine::note_value(std::uint64_t value) {
  if (!tracing_ || outcome_->step_count == 0) return;
  RawStep& step = outcome_->steps_traced[outcome_->step_count - 1];
  step.has_value = true;
  step.value = value;
}

void Engine::note_race(const volatile void* object, std::size_t size, int other_thread, bool other_writes) {
  if (!tracing_) return;
  auto low = reinterpret_cast<std::uintptr_t>(object) & ~std::uintptr_t{7};
  auto high = (reinterpret_cast<std::uintptr_t>(object) + size + 7) & ~std::uintptr_t{7};
  for (std::uint32_t i = outcome_->step_count; i-- > 0;) {
    const RawStep& step = outcome_->steps_traced[i];
    bool writes = step.operation == OperationKind::write || step.operation == OperationKind::store ||
                  step.operation == OperationKind::exchange || step.operation == OperationKind::free;
    if (step.thread != other_thread || step.object < low || step.object >= high || writes != other_writes) continue;
    outcome_->first_access_count = step.frame_count;
    std::memcpy(outcome_->first_access, step.frames, sizeof(step.frames));
    return;
  }
}

}  // namespace explorer
