// malloc and its family. Outside of schedules they are the C library's.

#include "explorer/intercept/allocation.hpp"

#include <malloc.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/intercepted.hpp"
#include "explorer/memory/race_detector.hpp"

extern "C" {
void* __libc_malloc(std::size_t size);
void __libc_free(void* block);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace explorer {

namespace {

struct Header {
  std::size_t size;
  std::uint32_t generation;  // of the schedule that allocated it
  bool freed;
};
constexpr std::size_t alignment_of_all = 16;
static_assert(sizeof(Header) == alignment_of_all);

char* heap = nullptr;
char* floor_of_schedule = nullptr;
char* top = nullptr;
std::size_t alive = 0;

bool is_ours(const void* block) {
  return heap != nullptr && static_cast<std::size_t>(static_cast<const char*>(block) - heap) < heap_size;
}

Header& header_of(void* block) { return *(static_cast<Header*>(block) - 1); }

void* allocate(std::size_t size, std::size_t alignment) {
  auto begin = (reinterpret_cast<std::uintptr_t>(top) + sizeof(Header) + alignment - 1) & ~(alignment - 1);
  // A free byte between blocks keeps two of them from sharing a granule of the race detector.
  auto end = (begin + size + alignment_of_all) & ~(alignment_of_all - 1);
  if (size > heap_size || end > reinterpret_cast<std::uintptr_t>(heap) + heap_size) {
    errno = ENOMEM;
    return nullptr;
  }
  top = reinterpret_cast<char*>(end);
  void* block = reinterpret_cast<void*>(begin);
  header_of(block) = {size, engine.generation(), false};
  ++alive;
  return block;
}

void release(void* block) {
  Header& header = header_of(block);
  if (header.freed) {
    if (active) engine.fail(Failure::memory_error, "memory is freed twice");
    return;
  }
  header.freed = true;
  if (header.generation == engine.generation()) --alive;
  if (!active) return;
  Unobserved unobserved;
  mark_freed(block, header.size);
}

}  // namespace

const char* heap_begin() { return heap; }

void set_up_allocation() {
  void* memory = ::mmap(nullptr, heap_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  heap = floor_of_schedule = top = static_cast<char*>(memory);
}

void recycle_allocations() {
  if (alive > 0) floor_of_schedule = top;
  top = floor_of_schedule;
  alive = 0;
}

}  // namespace explorer

using namespace explorer;

EXPLORER_INTERCEPTED void* malloc(std::size_t size) {
  return active ? allocate(size, alignment_of_all) : __libc_malloc(size);
}

EXPLORER_INTERCEPTED void free(void* block) {
  if (block == nullptr) return;
  if (is_ours(block)) {
    release(block);
  } else {
    __libc_free(block);
  }
}

EXPLORER_INTERCEPTED void* calloc(std::size_t count, std::size_t size) {
  if (!active) return __libc_calloc(count, size);
  std::size_t total = 0;
  if (__builtin_mul_overflow(count, size, &total)) {
    errno = ENOMEM;
    return nullptr;
  }
  void* block = allocate(total, alignment_of_all);
  if (block != nullptr) std::memset(block, 0, total);
  return block;
}

EXPLORER_INTERCEPTED void* realloc(void* block, std::size_t size) {
  if (!active && !is_ours(block)) return __libc_realloc(block, size);
  if (block == nullptr) return malloc(size);
  std::size_t before = is_ours(block) ? header_of(block).size : ::malloc_usable_size(block);
  void* moved = malloc(size);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, before < size ? before : size);
  free(block);
  return moved;
}

EXPLORER_INTERCEPTED void* memalign(std::size_t alignment, std::size_t size) {
  return active ? allocate(size, alignment < alignment_of_all ? alignment_of_all : alignment)
                : __libc_memalign(alignment, size);
}
EXPLORER_INTERCEPTED void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
EXPLORER_INTERCEPTED int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  *block = memalign(alignment, size);
  return *block != nullptr ? 0 : ENOMEM;
}
