#include "exercise/rendezvous.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <system_error>

#include "exercise/session.hpp"

namespace interleave {

struct Rendezvous::Memory {
  std::atomic<int> arrived;
};

Rendezvous::Rendezvous(int parties, std::string_view promise, FailureKind kind)
    : parties_(parties), promise_(promise), kind_(kind) {
  void* memory = ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap of a rendezvous");
  memory_ = static_cast<Memory*>(memory);
}

Rendezvous::~Rendezvous() { ::munmap(memory_, sizeof(Memory)); }

int Rendezvous::arrived() const { return memory_->arrived.load(); }

void Rendezvous::arrive_and_wait() {
  // std::atomic::wait() uses a futex that is private to one process; this one is shared.
  int* word = reinterpret_cast<int*>(&memory_->arrived);
  int now = memory_->arrived.fetch_add(1) + 1;
  ::syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  if (now >= parties_) return;
  session::send_awaiting(kind_, "expected " + promise_ + ", but only " + std::to_string(now) + " of " +
                                    std::to_string(parties_) + " came before everything stood still");
  while ((now = memory_->arrived.load()) < parties_) {
    ::syscall(SYS_futex, word, FUTEX_WAIT, now, nullptr, nullptr, 0);
  }
  session::send_reached();
}

}  // namespace interleave
