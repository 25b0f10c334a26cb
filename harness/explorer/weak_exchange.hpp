#pragma once

// To be included before <atomic>, in code that is compiled for the explorer.
//
// A weak exchange may fail for no reason ([atomics.types.operations]/28). ThreadSanitizer's instrumentation calls the
// same function for a weak one as for a strong one, so what is weak is asked here: at the builtins that every
// std::atomic and std::atomic_ref stands on.

/// Whether the weak exchange that comes next is to fail. Defined by the explorer; without it there is no such function,
/// and none fails.
extern "C" [[gnu::weak]] bool explorer_weak_exchange_fails(const volatile void* object);

#define __atomic_compare_exchange_n(object, expected, desired, weak, success, failure)                  \
  ((weak) && &explorer_weak_exchange_fails != nullptr && explorer_weak_exchange_fails(object)           \
       ? (*(expected) = __atomic_load_n(object, failure), false)                                        \
       : __atomic_compare_exchange_n(object, expected, desired, weak, success, failure))

#define __atomic_compare_exchange(object, expected, desired, weak, success, failure)                    \
  ((weak) && &explorer_weak_exchange_fails != nullptr && explorer_weak_exchange_fails(object)           \
       ? (__atomic_load(object, expected, failure), false)                                              \
       : __atomic_compare_exchange(object, expected, desired, weak, success, failure))
