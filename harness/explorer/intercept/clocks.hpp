#pragma once

#include <cstdint>
#include <ctime>

namespace explorer {

/// Where the virtual clocks begin: every clock of a schedule shows this at its start, plus the time that has passed.
inline constexpr std::int64_t virtual_epoch = 1'700'000'000LL * 1'000'000'000LL;

/// A point in time of the program, on the engine's clock. One too far away is never.
std::int64_t virtual_time(const timespec& time);

}  // namespace explorer
