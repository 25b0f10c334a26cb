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
#include <stdexcept>
#include <utility>

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
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {
    if (capacity == 0) throw std::invalid_argument("BoundedQueue: capacity is 0");
  }

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  /// Destroys the elements that are left.
  ~BoundedQueue() = default;

  /// Waits while the queue is full and not closed. Then adds the element at the end and returns true, or, if the queue
  /// is closed, returns false and adds nothing.
  bool push(T element) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [this] { return elements_.size() < capacity_ || closed_; });
    if (closed_) return false;
    elements_.push_back(std::move(element));
    not_empty_.notify_one();
    return true;
  }

  /// Waits while the queue is empty and not closed. Then takes the oldest element out and returns it, or, if the queue
  /// is closed and empty, returns std::nullopt.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return !elements_.empty() || closed_; });
    if (elements_.empty()) return std::nullopt;
    std::optional<T> element = std::move(elements_.front());
    elements_.pop_front();
    not_full_.notify_one();
    return element;
  }

  /// Closes the queue for good. The elements in it stay, to be popped. Everybody who waits in push() returns false;
  /// everybody who waits in pop() returns std::nullopt. On a closed queue it does nothing.
  ///
  /// Every element for which push() returned true is there for a pop(): none enters after a pop() that found the queue
  /// closed and empty.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    not_full_.notify_all();
    not_empty_.notify_all();
  }

  /// Destroys the elements that are in the queue, which makes room for those who wait in push().
  void clear() {
    std::deque<T> elements;  // declared before the lock, so destroyed after it
    std::lock_guard lock(mutex_);
    elements.swap(elements_);
    not_full_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  // One for each side. With one for both, notify_one could wake a thread of the side that cannot go on.
  std::condition_variable not_full_;
  std::condition_variable not_empty_;
  std::deque<T> elements_;
  bool closed_ = false;
};
