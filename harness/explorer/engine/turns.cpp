// The engine: whose turn it is. Who can run, who waits for what, and who is woken.

#include <cstdio>
#include <cstring>

#include "explorer/engine/engine.hpp"

namespace explorer {

namespace {

constexpr int most_early_time_outs = 2;
constexpr int most_spurious = 2;
// Threads that could run may be kept from it for a while, but not for ever: who waits for an hour waits for an event.
constexpr std::int64_t slowest_machine = 60'000'000'000;  // virtual nanoseconds
constexpr std::int64_t step_time = 100;                   // virtual nanoseconds

}  // namespace

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
  next.has_yielded = false;
  // The Unobserved of whoever switches is its own; a thread that is switched to is always in the schedule.
  fiber_switch(*me.fiber, *next.fiber);
}

void Engine::reschedule() {
  std::uint64_t steps = steps_ + steps_unseen_;
  if (steps >= step_limit_) {
    if (steps >= 2 * static_cast<std::uint64_t>(step_limit_)) {
      char message[160];
      std::snprintf(message, sizeof(message),
                    "after %llu steps, the last half of them with fair turns for all, the threads still had not ended",
                    static_cast<unsigned long long>(steps));
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
  note_where_it_waits();
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
  note_where_it_waits();
  make_blocked(me);
  if (deadline != never) set_deadline(me, deadline);
  bool spurious = (reason == WaitReason::condition || reason == WaitReason::futex) && happens_for_no_reason();
  if (spurious) {
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

bool Engine::happens_for_no_reason() {
  if (!phase_.spurious_wake || spurious_ >= most_spurious) return false;
  if (choose_value(2, ValueKind::spurious) == 0) return false;
  ++spurious_;
  return true;
}

int Engine::choose_value(int n, ValueKind kind) {
  if (n <= 1) return 0;
  int value = strategy_->next_value(n, kind);
  choices_ = (choices_ ^ static_cast<std::uint64_t>(value + 200)) * 0x100000001b3ULL;
  return value;
}

}  // namespace explorer
