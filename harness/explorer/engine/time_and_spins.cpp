// The engine: virtual time, and threads that go round in circles until something changes.

#include "explorer/engine/engine.hpp"

namespace explorer {

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
  // Nobody promises that another thread runs now ([thread.thread.this]/5), so the first time is a step as any other.
  // Who goes on yielding waits for the others.
  if (me.has_yielded) {
    if (!me.yielded) {
      me.yielded = true;
      if (!me.spinning) ++aside_;
    }
    strategy_->yielded(me.id);
  }
  me.has_yielded = true;
  point({OperationKind::yield, false, nullptr});
}

void Engine::sleep_until(std::int64_t deadline) {
  point({OperationKind::sleep, false, nullptr});
  if (deadline <= now_) return;
  Thread& me = *current_;
  active = false;
  me.reason = WaitReason::sleep;
  me.expired = false;
  note_where_it_waits();
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
  // So many accesses are worth as many steps as they take the time of, or a spin that nobody ends would take minutes.
  steps_unseen_ += too_quiet / 50;
  yield();
}

}  // namespace explorer
