// The engine: what it notes of a schedule that is traced.

#include <cstring>

#include "explorer/engine/engine.hpp"
#include "explorer/trace/outcome.hpp"

namespace explorer {

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
