#pragma once

// 5.3 zero-copy-array: an array in memory that several processes share, worked on in place by all of them, each its
// slice.
//
// Python: a `multiprocessing.shared_memory.SharedMemory`, the array `numpy.ndarray(shape, dtype, buffer=memory.buf,
// offset=...)` in it, and a `multiprocessing.Process` for each slice.

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "exercise/not_done.hpp"

/// Memory that this process shares with the children that it starts afterwards: what one writes, the others see at the
/// same address, at once.
class SharedBuffer {
 public:
  /// `size` bytes. None is a buffer too. Throws std::system_error with the error of the operating system if they
  /// cannot be had.
  explicit SharedBuffer(std::size_t size) {
    (void)size;  // take this line out once you use it
    interleave::not_done();
  }
  SharedBuffer(const SharedBuffer&) = delete;
  SharedBuffer& operator=(const SharedBuffer&) = delete;

  /// Gives the memory back.
  ~SharedBuffer() { interleave::not_done(); }

  /// The memory, which begins at a multiple of the page size.
  std::span<std::byte> bytes() const noexcept { interleave::not_done(); }
};

/// The `count` elements of type T that begin `offset` bytes into `memory`. No copy: whoever writes an element writes
/// the memory.
///
/// Throws std::invalid_argument if the first element would be at an address that is not aligned for T, or if `memory`
/// ends before the last one does. So it does for any offset and count, however large.
template <typename T>
requires std::is_trivially_copyable_v<T> std::span<T> array_in(std::span<std::byte> memory, std::size_t offset,
                                                               std::size_t count) {
  (void)memory, (void)offset, (void)count;  // take this line out once you use them
  interleave::not_done();
}

/// Thrown by for_each_slice.
class WorkerFailed : public std::runtime_error {
 public:
  explicit WorkerFailed(std::size_t worker)
      : std::runtime_error("worker " + std::to_string(worker) + " failed"), worker_(worker) {}

  /// Which one it was; the first in the order of the slices.
  std::size_t worker() const noexcept { return worker_; }

 private:
  std::size_t worker_;
};

/// Cuts `elements`, which are in memory that children share, into `workers` slices and calls work(slice) for each of
/// them in a child process of its own. Starts them all before it waits for any, and returns when all have ended and
/// have been waited for. What they did to their slices is in `elements` then.
///
/// The slices follow each other without a gap and without an overlap. Their sizes differ by one at the most, and the
/// larger ones come first. Where there are more workers than elements, there are as many slices as elements, and no
/// process without any: so for no elements there is no process.
///
/// work() gets the elements themselves, and no element is copied anywhere, neither in memory nor through the kernel.
///
/// A worker has failed if work() throws there, if a signal ends it or if it ends with a status other than 0. Then
/// throws WorkerFailed, after all of them have ended; the slices of the others are done. If a process cannot be
/// started, throws std::system_error with the error of fork(2), after it has ended (SIGKILL) and waited for those that
/// were running. No workers throws std::invalid_argument. Leaves no process, no zombie and no open descriptor behind.
///
/// Called by one thread at a time, in a process that has no other child.
template <typename T, typename Work>
void for_each_slice(std::span<T> elements, std::size_t workers, Work work) {
  (void)elements, (void)workers, (void)work;  // take this line out once you use them
  interleave::not_done();
}
