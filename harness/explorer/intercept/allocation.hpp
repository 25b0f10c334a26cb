#pragma once

#include <cstddef>

namespace explorer {

/// The heap of the schedules. Blocks lie one after the other and none is used twice in a schedule, so each schedule
/// sees the same addresses, and a use after free is found by the address alone. What outlives a schedule stays where it
/// is.
inline constexpr std::size_t heap_size = std::size_t{256} << 20;

const char* heap_begin();
void set_up_allocation();

/// After a schedule: its heap is used again, behind what is still allocated.
void recycle_allocations();

}  // namespace explorer
