#pragma once

// Memory of which one part alone is shared with processes that have a copy of all the rest: so a test can tell whether
// globals, heap and stack were asked one by one. clone(2) can only share all of them or none.
//
// Defines malloc and its relatives, so it is included by one source file of a program, and not under a sanitizer.

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <system_error>

namespace partly_shared_memory {

inline std::byte* map(std::size_t size, int sharing) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return static_cast<std::byte*>(memory);
}

// ---- The stack

struct StackSwitch {
  const std::function<void()>& function;
  std::exception_ptr exception;
};

inline StackSwitch* current_switch = nullptr;

inline void run_on_the_other_stack() {
  try {
    current_switch->function();
  } catch (...) {
    current_switch->exception = std::current_exception();  // no exception can cross from one stack to another
  }
}

/// Runs `function` in this thread, on a stack in memory that processes share. What it throws arrives here. A unit that
/// is started meanwhile needs a stack of its own (no fork): else two processes run on one stack.
inline void on_shared_stack(const std::function<void()>& function) {
  constexpr std::size_t size = std::size_t{1} << 20;
  std::byte* stack = map(size, MAP_SHARED);
  StackSwitch running{function, nullptr};
  current_switch = &running;
  ucontext_t back, there;
  ::getcontext(&there);
  there.uc_stack.ss_sp = stack;
  there.uc_stack.ss_size = size;
  there.uc_link = &back;
  ::makecontext(&there, run_on_the_other_stack, 0);
  ::swapcontext(&back, &there);
  ::munmap(stack, size);
  if (running.exception) std::rethrow_exception(running.exception);
}

// ---- The heap

/// Blocks in shared memory, given out one after the other and never taken back; each has its size in front of it. The
/// account is in the same memory, so that two processes can allocate side by side.
struct SharedBlocks {
  static constexpr std::size_t capacity = std::size_t{16} << 20;
  static constexpr std::size_t alignment = 16;
  std::atomic<std::size_t> used;

  bool owns(const void* block) const {
    auto address = reinterpret_cast<std::uintptr_t>(block), begin = reinterpret_cast<std::uintptr_t>(this);
    return address >= begin && address < begin + capacity;
  }

  static std::size_t& size_of(void* block) { return *(static_cast<std::size_t*>(block) - 1); }

  void* allocate(std::size_t size, std::size_t aligned_to = alignment) {
    if (aligned_to < alignment) aligned_to = alignment;
    if (size > capacity / 4 || aligned_to > capacity / 4) return nullptr;
    // Room for the header, for the size in front of the block, and for moving the block up to its alignment.
    std::size_t begin = used.fetch_add(size + 2 * aligned_to) + sizeof(SharedBlocks) + sizeof(std::size_t);
    if (begin + size + 2 * aligned_to > capacity) return nullptr;
    auto address = reinterpret_cast<std::uintptr_t>(this) + begin;
    auto* block = reinterpret_cast<void*>((address + aligned_to - 1) / aligned_to * aligned_to);
    size_of(block) = size;
    return block;
  }
};

inline SharedBlocks* shared_blocks = nullptr;  // kept until the end of the program: somebody may still hold a block
inline bool heap_is_shared = false;

/// While it lives, what malloc and new hand out is in memory that processes share. One at a time.
class SharedHeap {
 public:
  SharedHeap() {
    if (shared_blocks == nullptr)
      shared_blocks = reinterpret_cast<SharedBlocks*>(map(SharedBlocks::capacity, MAP_SHARED));
    heap_is_shared = true;
  }
  SharedHeap(const SharedHeap&) = delete;
  SharedHeap& operator=(const SharedHeap&) = delete;
  ~SharedHeap() { heap_is_shared = false; }
};

// ---- The global variables

extern "C" char __data_start, _end;  // where the linker has put the first and the last of them

/// While it lives, the global variables of this program are in memory that processes share. One at a time, in a process
/// with one thread.
class SharedGlobals {
 public:
  SharedGlobals() { replace(MAP_SHARED); }
  SharedGlobals(const SharedGlobals&) = delete;
  SharedGlobals& operator=(const SharedGlobals&) = delete;
  ~SharedGlobals() { replace(MAP_PRIVATE); }

 private:
  // Puts other pages with the same content in the place of those that hold the globals.
  static void replace(int sharing) {
    auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    auto begin = reinterpret_cast<std::uintptr_t>(&__data_start) / page * page;
    auto end = (reinterpret_cast<std::uintptr_t>(&_end) + page - 1) / page * page;
    std::byte* pages = map(end - begin, sharing);
    std::memcpy(pages, reinterpret_cast<void*>(begin), end - begin);
    if (::mremap(pages, end - begin, end - begin, MREMAP_MAYMOVE | MREMAP_FIXED, begin) == MAP_FAILED) {
      throw std::system_error(errno, std::generic_category(), "mremap of the global variables");
    }
  }
};

}  // namespace partly_shared_memory

// glibc lets a program replace these, and keeps its own under other names.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size) noexcept {
  using namespace partly_shared_memory;
  return heap_is_shared ? shared_blocks->allocate(size) : __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  using namespace partly_shared_memory;
  if (!heap_is_shared) return __libc_calloc(count, size);
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  return shared_blocks->allocate(bytes);  // zero already: each byte is given out once
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  using namespace partly_shared_memory;
  return heap_is_shared ? shared_blocks->allocate(size, alignment) : __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }

int posix_memalign(void** block, std::size_t alignment, std::size_t size) noexcept {
  *block = memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}

void free(void* block) noexcept {
  using namespace partly_shared_memory;
  if (shared_blocks == nullptr || !shared_blocks->owns(block)) __libc_free(block);
}

void* realloc(void* block, std::size_t size) noexcept {
  using namespace partly_shared_memory;
  bool is_shared = shared_blocks != nullptr && shared_blocks->owns(block);
  if (!is_shared && (!heap_is_shared || block != nullptr)) return __libc_realloc(block, size);
  void* larger = malloc(size);
  if (larger != nullptr && block != nullptr) {
    std::size_t old_size = SharedBlocks::size_of(block);
    std::memcpy(larger, block, old_size < size ? old_size : size);
  }
  return larger;
}
}
