#pragma once

// 4.5 bounded-queue: hand elements from thread to thread through a queue of limited size that can be closed.
//
// Python's `queue.Queue(maxsize)`: push is `put`, pop is `get`, and close is `shutdown` (Python 3.13).

#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

#include "exercise/not_done.hpp"

/// A queue between any number of threads that push and any number that pop: first in, first out, and never more than
/// `capacity` elements at a time.
///
/// A thread that waits here sleeps until there is something for it to do; it neither spins nor looks again from time to
/// time. Nobody sleeps on while what it waits for is there: an element, room, or the end.
///
/// Elements are moved and never copied; moving does not throw. The destructor of an element may use the queue and may
/// take long: no thread is kept out of the queue meanwhile. (That is not so for what is left of a moved element.)
///
/// Every function may be called from any thread at any time. The queue is destroyed when nobody is inside any more.
template <std::movable T>
class BoundedQueue {
 public:
  /// An empty queue, not closed. A capacity of 0 throws std::invalid_argument.
  explicit BoundedQueue(std::size_t capacity) {
    (void)capacity;  // take this line out once you use it
    interleave::not_done();
  }

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  /// Destroys the elements that are left.
  ~BoundedQueue() = default;

  /// Waits while the queue is full and not closed. Then adds the element at the end and returns true, or, if the queue
  /// is closed, returns false and adds nothing.
  bool push(T element) {
    (void)element;  // take this line out once you use it
    interleave::not_done();
  }

  /// Waits while the queue is empty and not closed. Then takes the oldest element out and returns it, or, if the queue
  /// is closed and empty, returns std::nullopt.
  std::optional<T> pop() { interleave::not_done(); }

  /// Closes the queue for good. The elements in it stay, to be popped. Everybody who waits in push() returns false;
  /// everybody who waits in pop() returns std::nullopt. On a closed queue it does nothing.
  ///
  /// Every element for which push() returned true is there for a pop(): none enters after a pop() that found the queue
  /// closed and empty.
  void close() { interleave::not_done(); }

  /// Destroys the elements that are in the queue, which makes room for those who wait in push().
  void clear() { interleave::not_done(); }
};
