// The engine: what it notes of a schedule that is traced.

#include <algorithm>
#include <cstring>

#include "explorer/engine/engine.hpp"
#include "explorer/trace/outcome.hpp"

namespace explorer {

namespace {

struct Stack {
  int count;
  Frame frames[most_frames];
};

Stack waits[max_threads];  // where each thread waited last

// A plain write is told of before it happens; what it wrote is there when its thread does the next thing.
struct Unsettled {
  RawStep* step = nullptr;
} unsettled;

std::uint64_t value_at(std::uintptr_t address, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, reinterpret_cast<const void*>(address), size);
  return value;
}

void settle() {
  if (unsettled.step == nullptr) return;
  unsettled.step->value = value_at(unsettled.step->object, unsettled.step->size);
  unsettled.step->has_value = true;
  unsettled.step = nullptr;
}

}  // namespace

void Engine::note_step(OperationKind kind, const volatile void* object, bool quiet) {
  if (!tracing_) return;
  settle();
  if (outcome_->step_count == most_steps) return;
  Unobserved unobserved;
  RawStep& step = outcome_->steps_traced[outcome_->step_count++];
  step.thread = static_cast<std::uint8_t>(current_->id);
  step.operation = kind;
  step.quiet = quiet;
  step.has_before = step.has_value = false;
  step.size = 0;
  step.object = reinterpret_cast<std::uintptr_t>(object);
  step.frame_count = static_cast<std::uint8_t>(walk_stack(step.frames, most_frames));
}

void Engine::note_value(std::uint64_t value, std::size_t size) {
  if (!tracing_ || outcome_->step_count == 0) return;
  RawStep& step = outcome_->steps_traced[outcome_->step_count - 1];
  step.has_value = true;
  step.size = static_cast<std::uint8_t>(size);
  step.value = value;
}

void Engine::note_update(std::uint64_t before, std::uint64_t after, std::size_t size) {
  if (!tracing_ || outcome_->step_count == 0) return;
  note_value(after, size);
  RawStep& step = outcome_->steps_traced[outcome_->step_count - 1];
  step.has_before = true;
  step.before = before;
}

void Engine::note_comparison(std::uint64_t found, std::size_t size) {
  if (!tracing_ || outcome_->step_count == 0) return;
  note_value(found, size);
  outcome_->steps_traced[outcome_->step_count - 1].operation = OperationKind::compare;
}

void Engine::note_access(const volatile void* address, std::size_t size, bool writes) {
  if (!tracing_ || outcome_->step_count == most_steps) return;
  note_step(writes ? OperationKind::write : OperationKind::read, address, true);
  if (size > sizeof(std::uint64_t)) return;
  RawStep& step = outcome_->steps_traced[outcome_->step_count - 1];
  step.size = static_cast<std::uint8_t>(size);
  if (writes) {
    unsettled.step = &step;
  } else {
    step.has_value = true;
    step.value = value_at(step.object, size);
  }
}

void Engine::note_where_it_waits() {
  if (!tracing_) return;
  Unobserved unobserved;
  Stack& stack = waits[current_->id];
  stack.count = walk_stack(stack.frames, most_frames);
}

void Engine::report_where_it_waits(int thread, RawWaiting& waiting) const {
  waiting.frame_count = 0;
  if (!tracing_) return;
  const Stack& stack = waits[thread];
  waiting.frame_count = static_cast<std::uint8_t>(stack.count);
  std::copy(stack.frames, stack.frames + stack.count, waiting.frames);
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
    outcome_->first_access = static_cast<std::int32_t>(i);
    return;
  }
}

}  // namespace explorer
