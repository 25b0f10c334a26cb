#pragma once

#include <cstdint>

namespace explorer {

// The stores to each atomic object, and which of them a load may read ([intro.races], [atomics.order],
// [atomics.fences]; after C11Tester: Luo, Demsky, ASPLOS 2021).
//
// Modification order is the order of execution. A load reads any store that is not hidden: none that is older than one
// that happens before the load, or than one that this thread has read already (coherence); a sequentially consistent
// load, none older than the last sequentially consistent store. A read-modify-write reads the last store, and goes on
// with its release sequence. Not modelled: load buffering (a load that reads a store that is executed later).

void set_up_store_histories();

/// The current thread loads an object whose memory holds `last`: the value that it reads, which an old store may give
/// if `old_stores`.
std::uint64_t load_from_history(const volatile void* object, std::uint64_t last, int order, bool old_stores);

/// The current thread stores `value` where memory held `last`.
void store_to_history(const volatile void* object, std::uint64_t last, std::uint64_t value, int order);

/// The current thread reads the last store and puts `value` in its place.
void exchange_in_history(const volatile void* object, std::uint64_t last, std::uint64_t value, int order);

/// A failed compare-exchange: a load of the last store.
void load_last_from_history(const volatile void* object, std::uint64_t last, int order);

/// atomic_thread_fence(order).
void fence(int order);

}  // namespace explorer
