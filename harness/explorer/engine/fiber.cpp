// What both back ends share: the parked threads, and their thread-local storage.

#include "explorer/engine/fiber.hpp"

#include <elf.h>
#include <link.h>
#include <linux/futex.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "explorer/engine/fiber_back_end.hpp"
#include "explorer/intercept/real.hpp"

namespace explorer {

namespace {

// The executable's thread-local variables as a new thread has them. Libraries' are left alone: libstdc++'s and glibc's
// are in order whenever a thread has ended properly.
struct TlsImage {
  const char* start = nullptr;
  std::size_t file_size = 0, memory_size = 0;
};
TlsImage image;

struct TlsSearch {
  char* block = nullptr;
};

int look_at_executable(dl_phdr_info* info, std::size_t, void* data) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_TLS) continue;
    image = {reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr), header.p_filesz, header.p_memsz};
    static_cast<TlsSearch*>(data)->block = static_cast<char*>(info->dlpi_tls_data);
  }
  return 1;  // the executable comes first, and is all that is wanted
}

const FiberBackEnd* back_end = &hand_over_fibers;

int ready;

void* park(void* argument) {
  Fiber& fiber = *static_cast<Fiber*>(argument);
  fiber_adopt(fiber);
  // Room for the frames of this function and of what it calls.
  fiber.stack_high = reinterpret_cast<char*>(
      (reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - 16 * 1024) & ~std::uintptr_t{63});
  __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
  futex_wake(&ready);
  back_end->park(fiber);
  __builtin_unreachable();
}

}  // namespace

void futex_wait(int* word, int value) {
  real_syscall(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
}

void futex_wake(int* word) { real_syscall(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0); }

void reset_thread_locals(Fiber& fiber) {
  if (fiber.tls_block == nullptr || image.memory_size == 0) return;
  std::memcpy(fiber.tls_block, image.start, image.file_size);
  std::memset(fiber.tls_block + image.file_size, 0, image.memory_size - image.file_size);
}

bool fibers_are_native() {
#if defined(__x86_64__)
  constexpr unsigned long fsgsbase = 1UL << 1;  // HWCAP2_FSGSBASE, Linux 5.9
  static const bool native = (::getauxval(AT_HWCAP2) & fsgsbase) != 0;
  return native;
#else
  return false;
#endif
}

void choose_fibers(bool hand_over) {
  back_end = &hand_over_fibers;
#if defined(__x86_64__)
  if (!hand_over && fibers_are_native()) back_end = &native_fibers;
#else
  (void)hand_over;
#endif
}

void fiber_prepare(Fiber& fiber, FiberEntry entry) { back_end->prepare(fiber, entry); }

void fiber_switch(Fiber& from, Fiber& to) { back_end->switch_to(from, to); }

void fiber_leave(Fiber& from, Fiber& to) {
  back_end->leave(from, to);
  __builtin_unreachable();
}

void fiber_adopt(Fiber& fiber) {
  fiber.thread = ::pthread_self();
  fiber.thread_base = reinterpret_cast<std::uintptr_t>(fiber.thread);  // glibc: the handle is the control block
  TlsSearch search;
  ::dl_iterate_phdr(look_at_executable, &search);
  fiber.tls_block = search.block;
}

bool fiber_create(Fiber& fiber, char* stack) {
  fiber.stack_low = stack;
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstack(&attributes, stack, fiber_stack_size);
  ready = 0;
  int error = real().pthread_create(&fiber.thread, &attributes, park, &fiber);
  ::pthread_attr_destroy(&attributes);
  if (error != 0) return false;
  while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == 0) futex_wait(&ready, 0);
  return true;
}

}  // namespace explorer
