#pragma once

#include <cstddef>
#include <cstdint>

namespace explorer {

// Happens-before race detection by epochs (FastTrack: Flanagan, Freund, PLDI 2009), and use after free.
//
// Two accesses race if one is a plain one, one is a write, and nothing orders them ([intro.races]/21). A program whose
// schedules were explored at synchronisation alone shows its first race in one of them: up to that race it is free of
// races, and plain accesses of a race-free prefix may be moved up to the thread's next synchronisation. So plain
// accesses are no places to switch while races are detected. Without detection they are, at addresses that were seen to
// be shared in earlier schedules.

/// Maps the shadow memory. The accesses to [stacks, stacks + size) and to the heap of allocation.hpp are found by
/// arithmetic, others by a hash.
void set_up_race_detector(const char* stacks, std::size_t size);

/// Whether addresses were found shared since the last call.
bool learn_shared_addresses();

/// The current thread reads or writes plain memory. May switch, may end the schedule.
void plain_access(const volatile void* address, std::size_t size, bool writes);

/// The current thread reads or writes an atomic object, where the schedule has switched already.
void atomic_access(const volatile void* address, std::size_t size, bool writes);

/// Nobody may touch these bytes any more in this schedule.
void mark_freed(const void* address, std::size_t size);

}  // namespace explorer
