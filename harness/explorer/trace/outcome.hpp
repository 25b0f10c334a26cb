#pragma once

#include <cstdint>

#include "explorer/engine/operation.hpp"
#include "explorer/explorer.hpp"
#include "explorer/memory/vector_clock.hpp"

namespace explorer {

inline constexpr int most_frames = 24;

struct RawStep {
  std::uint8_t thread;
  OperationKind operation;
  bool quiet;  // a plain access that is shown only where its address turns out to be shared
  bool has_before, has_value;
  std::uint8_t size;  // of the value in bytes
  std::uint8_t frame_count;
  std::uintptr_t object;
  std::uint64_t before;  // of a read-modify-write
  std::uint64_t value;   // read or written
  Frame frames[most_frames];
};

struct RawWaiting {
  int thread;
  const char* waits_for;
  std::uintptr_t object;
  int held_by;
  std::uint8_t frame_count;
  Frame frames[most_frames];
};

/// Filled in by the process that explores, read by the one that started it. Lives in a shared mapping, so that it is
/// there whatever became of that process.
struct Outcome {
  Failure failure;
  bool finished;  // the exploration came to its own end
  char message[4096];
  char file[512];
  int line;
  std::uint64_t schedules, steps, memory, cut;
  double seconds;
  int complete_bound;
  std::uint64_t within_bound;
  char strategy[64];
  std::uint64_t choices;
  int waiting_count;
  RawWaiting waiting[max_threads];
  std::int32_t first_access;  // of a data race: the step of the other access; -1 if there is none
  std::uint32_t step_count;
  RawStep steps_traced[1];  // most_steps of them
};

inline constexpr std::uint32_t most_steps = 1 << 15;
inline constexpr std::size_t outcome_size = sizeof(Outcome) + most_steps * sizeof(RawStep);

/// The call stack of the caller, innermost first; at most `capacity` frames. Returns how many.
int walk_stack(Frame* frames, int capacity);

}  // namespace explorer
