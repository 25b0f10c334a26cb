#pragma once

// Given in 3.4 fiber: what AddressSanitizer has to be told when a thread goes from one stack to another.

#include <cstddef>

#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace interleave {

/// AddressSanitizer keeps accounts of the stack that a thread runs on: where it begins and ends, which frames are on
/// it. Whoever moves the thread to another stack has to say so before and after, or later reports are false alarms.
///
/// One object for each stack: for that of every fiber, and for that of the code that called run(). Around each switch:
///
///   mine.before_switch_to(other);
///   swapcontext(...);       // or whatever else makes the switch
///   mine.after_switch();    // comes here when somebody has switched back
///
/// A fiber that has just been started was not switched back to: the first line of its function is
/// `its.after_switch();`. The object of a stack is destroyed while the thread runs on another one. It must not be
/// moved.
///
/// Without AddressSanitizer nothing of this does anything.
class AsanStack {
 public:
  /// The stack that is run on already.
  AsanStack() = default;

  /// A new stack: the `size` bytes from `lowest` up that can be written, so without the guard page.
  AsanStack(void* lowest, std::size_t size);

  AsanStack(const AsanStack&) = delete;
  AsanStack& operator=(const AsanStack&) = delete;
  ~AsanStack();

  /// On this stack, right before the switch.
  void before_switch_to(AsanStack& next);

  /// On this stack, right after a switch to it.
  void after_switch();

#if __has_feature(address_sanitizer)
 private:
  const void* lowest_ = nullptr;
  std::size_t size_ = 0;
  // The frames of functions that are still open on this stack. While the stack is the one that is run on, the
  // sanitizer has them.
  void* frames_ = nullptr;
  // The stack that was left by the switch under way.
  inline static thread_local AsanStack* left_ = nullptr;
#endif
};

#if __has_feature(address_sanitizer)

inline AsanStack::AsanStack(void* lowest, std::size_t size) : lowest_(lowest), size_(size) {
  __asan_unpoison_memory_region(lowest, size);  // marks of another fiber that had this memory
}

inline void AsanStack::before_switch_to(AsanStack& next) {
  left_ = this;
  __sanitizer_start_switch_fiber(&frames_, next.lowest_, next.size_);
}

inline void AsanStack::after_switch() {
  const void* lowest = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(frames_, &lowest, &size);
  frames_ = nullptr;
  if (left_ != nullptr) {
    // So the stack that was run on from the beginning is known from now on as well.
    left_->lowest_ = lowest;
    left_->size_ = size;
    left_ = nullptr;
  }
}

// A finished fiber never comes back for its frames, and the sanitizer frees those of the stack that is run on only. So
// here it is made to believe, for a moment and without a real switch, that this is the stack that is run on.
__attribute__((no_sanitize("address"))) inline AsanStack::~AsanStack() {
  if (frames_ == nullptr) return;
  void* current_frames = nullptr;
  const void* lowest = nullptr;
  std::size_t size = 0;
  __sanitizer_start_switch_fiber(&current_frames, lowest_, size_);
  __sanitizer_finish_switch_fiber(frames_, &lowest, &size);
  __sanitizer_start_switch_fiber(nullptr, lowest, size);
  __sanitizer_finish_switch_fiber(current_frames, nullptr, nullptr);
}

#else

inline AsanStack::AsanStack(void*, std::size_t) {}
inline AsanStack::~AsanStack() = default;
inline void AsanStack::before_switch_to(AsanStack&) {}
inline void AsanStack::after_switch() {}

#endif

}  // namespace interleave
