// What Clang's ThreadSanitizer pass calls at accesses to plain memory (llvm/lib/Transforms/Instrumentation/
// ThreadSanitizer.cpp). Atomic accesses are in atomics.cpp.

#include <cstddef>
#include <cstring>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/memory/race_detector.hpp"

using explorer::active;
using explorer::plain_access;

#define EXPLORER_ACCESSES(size)                                                    \
  EXPLORER_INTERCEPTED void __tsan_read##size(void* address) {                     \
    if (active) plain_access(address, size, false);                                \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_write##size(void* address) {                    \
    if (active) plain_access(address, size, true);                                 \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_unaligned_read##size(void* address) {           \
    if (active) plain_access(address, size, false);                                \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_unaligned_write##size(void* address) {          \
    if (active) plain_access(address, size, true);                                 \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_volatile_read##size(void* address) {            \
    if (active) plain_access(address, size, false);                                \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_volatile_write##size(void* address) {           \
    if (active) plain_access(address, size, true);                                 \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_unaligned_volatile_read##size(void* address) {  \
    if (active) plain_access(address, size, false);                                \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_unaligned_volatile_write##size(void* address) { \
    if (active) plain_access(address, size, true);                                 \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_read_write##size(void* address) {               \
    if (active) plain_access(address, size, false);                                \
    if (active) plain_access(address, size, true);                                 \
  }                                                                                \
  EXPLORER_INTERCEPTED void __tsan_unaligned_read_write##size(void* address) {     \
    if (active) plain_access(address, size, false);                                \
    if (active) plain_access(address, size, true);                                 \
  }

EXPLORER_ACCESSES(1)
EXPLORER_ACCESSES(2)
EXPLORER_ACCESSES(4)
EXPLORER_ACCESSES(8)
EXPLORER_ACCESSES(16)

EXPLORER_INTERCEPTED void __tsan_init() {}
EXPLORER_INTERCEPTED void __tsan_func_entry(void*) {}
EXPLORER_INTERCEPTED void __tsan_func_exit() {}
EXPLORER_INTERCEPTED void __tsan_ignore_thread_begin() {}
EXPLORER_INTERCEPTED void __tsan_ignore_thread_end() {}

EXPLORER_INTERCEPTED void __tsan_vptr_update(void** pointer, void* value) {
  // A constructor that sets what is set already writes nothing that another thread could see.
  if (active && *pointer != value) plain_access(pointer, sizeof(void*), true);
}
EXPLORER_INTERCEPTED void __tsan_vptr_read(void** pointer) {
  if (active) plain_access(pointer, sizeof(void*), false);
}

EXPLORER_INTERCEPTED void __tsan_read_range(void* address, std::size_t size) {
  if (active && size > 0) plain_access(address, size, false);
}
EXPLORER_INTERCEPTED void __tsan_write_range(void* address, std::size_t size) {
  if (active && size > 0) plain_access(address, size, true);
}

// Clang 16 and later call these for the memory intrinsics; older ones the functions themselves, unseen.
EXPLORER_INTERCEPTED void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
  if (active && size > 0) {
    plain_access(from, size, false);
    plain_access(to, size, true);
  }
  return std::memcpy(to, from, size);
}
EXPLORER_INTERCEPTED void* __tsan_memmove(void* to, const void* from, std::size_t size) {
  if (active && size > 0) {
    plain_access(from, size, false);
    plain_access(to, size, true);
  }
  return std::memmove(to, from, size);
}
EXPLORER_INTERCEPTED void* __tsan_memset(void* to, int value, std::size_t size) {
  if (active && size > 0) plain_access(to, size, true);
  return std::memset(to, value, size);
}
