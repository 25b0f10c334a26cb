// Does by hand what the C library does: a word that threads sleep on by futex(2), with the holder's number in it, and
// a list of the locks that a thread holds, which the kernel goes through when the thread ends.

#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <system_error>

class RobustLock {
 public:
  RobustLock() = default;

  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;

  void lock(const std::function<void()>& repair) {
    if (!acquire(repair, true)) refuse(EDEADLK);
  }

  bool try_lock(const std::function<void()>& repair) { return acquire(repair, false); }

  void unlock() {
    if ((word_.load(std::memory_order_relaxed) & FUTEX_TID_MASK) != static_cast<std::uint32_t>(::gettid()))
      refuse(EPERM);
    give_back();
  }

 private:
  [[noreturn]] static void refuse(int error) { throw std::system_error(error, std::generic_category(), "RobustLock"); }

  // The list of the locks that this thread holds. The kernel reads it when the thread ends.
  robust_list_head& own_list() const {
    static thread_local robust_list_head head{};
    static thread_local pid_t registered_by = 0;
    if (registered_by != ::gettid()) {  // a child that was forked has a copy of its parent's, which is not its own
      registered_by = ::gettid();
      head.list.next = &head.list;
      head.futex_offset = reinterpret_cast<const char*>(&word_) - reinterpret_cast<const char*>(&link_);
      head.list_op_pending = nullptr;
      ::syscall(SYS_set_robust_list, &head, sizeof(head));
    }
    return head;
  }

  // The kernel looks at the list between any two instructions, so the compiler must not move what is written to it.
  static void in_this_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

  // False: another thread, or with `wait` this one, holds it.
  bool acquire(const std::function<void()>& repair, bool wait) {
    auto self = static_cast<std::uint32_t>(::gettid());
    robust_list_head& list = own_list();
    // Should this thread die from here on, the kernel looks at this lock too, though it is not in the list yet.
    list.list_op_pending = &link_;
    in_this_order();
    std::uint32_t waiters = 0;  // once it has slept, others may sleep as well
    std::uint32_t found = word_.load(std::memory_order_relaxed);
    while (true) {
      if ((found & FUTEX_TID_MASK) == 0) {
        if (word_.compare_exchange_weak(found, self | waiters | (found & FUTEX_WAITERS), std::memory_order_acquire))
          break;
        continue;
      }
      if (!wait || (found & FUTEX_TID_MASK) == self) {
        list.list_op_pending = nullptr;
        return false;
      }
      waiters = FUTEX_WAITERS;
      if ((found & FUTEX_WAITERS) != 0 || word_.compare_exchange_weak(found, found | FUTEX_WAITERS)) {
        ::syscall(SYS_futex, &word_, FUTEX_WAIT, found | FUTEX_WAITERS, nullptr, nullptr, 0);
        found = word_.load(std::memory_order_relaxed);
      }
    }
    link_.next = list.list.next;
    in_this_order();
    list.list.next = &link_;
    in_this_order();
    list.list_op_pending = nullptr;

    if ((found & FUTEX_OWNER_DIED) != 0) holder_has_died_ = true;
    if (holder_has_died_ && !beyond_repair_) {
      try {
        repair();
      } catch (...) {
        beyond_repair_ = true;
        give_back();
        throw;
      }
      holder_has_died_ = false;
    }
    if (beyond_repair_) {
      give_back();
      refuse(ENOTRECOVERABLE);
    }
    return true;
  }

  void give_back() {
    robust_list_head& list = own_list();
    list.list_op_pending = &link_;
    in_this_order();
    robust_list* before = &list.list;
    while (before->next != &link_) before = before->next;
    before->next = link_.next;
    in_this_order();
    if ((word_.exchange(0, std::memory_order_release) & FUTEX_WAITERS) != 0) {
      ::syscall(SYS_futex, &word_, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }
    in_this_order();
    list.list_op_pending = nullptr;
  }

  std::atomic<std::uint32_t> word_ = 0;  // who holds it, as the kernel wants it (get_robust_list(2))
  robust_list link_{};                   // of the holder's list, whose addresses mean nothing to others
  bool holder_has_died_ = false;         // and nobody has repaired yet; under the lock, as what follows
  bool beyond_repair_ = false;
};
