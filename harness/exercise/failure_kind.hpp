#pragma once

#include <array>
#include <optional>
#include <ostream>
#include <string_view>

namespace interleave {

/// The kinds of failure that a verdict can name.
enum class FailureKind {
  not_done,
  does_not_compile,
  wrong_answer,
  data_race,
  deadlock,
  lost_wake_up,
  livelock,
  crash,
  memory_error,
  time_out,
  leak,
  forbidden_shortcut,
  over_synchronised,
  limit_exceeded,
  unsupported,
};

inline constexpr std::array<std::string_view, 15> failure_kind_names = {
    "not done",          "does not compile", "wrong answer", "data race",
    "deadlock",          "lost wake-up",     "livelock",     "crash",
    "memory error",      "time-out",         "leak",         "forbidden shortcut",
    "over-synchronised", "limit exceeded",   "unsupported",
};

constexpr std::string_view name_of(FailureKind kind) { return failure_kind_names[static_cast<std::size_t>(kind)]; }

constexpr std::optional<FailureKind> failure_kind_from(std::string_view name) {
  for (std::size_t i = 0; i < failure_kind_names.size(); ++i) {
    if (failure_kind_names[i] == name) return static_cast<FailureKind>(i);
  }
  return std::nullopt;
}

/// Streams into an assertion's message to give the failure another kind than "wrong answer":
///   EXPECT_EQ(inside, 4) << FailureKind::over_synchronised << "the workers ran one after the other";
/// The reporter takes the mark out of the text again.
inline std::ostream& operator<<(std::ostream& out, FailureKind kind) {
  return out << "\x01" << name_of(kind) << "\x02";
}

}  // namespace interleave
