// Keeps the elements in raw memory, where they are built and destroyed one by one, and gives back the memory at the
// end: what was still in the queue is never destroyed, with all that it owns.
// caught: plain, BoundedQueue.DestroysTheElementsThatAreLeft, wrong answer

#pragma once

#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

template <std::movable T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {
    if (capacity == 0) throw std::invalid_argument("BoundedQueue: capacity is 0");
    slots_ = std::allocator<T>().allocate(capacity);
  }

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  ~BoundedQueue() { std::allocator<T>().deallocate(slots_, capacity_); }

  bool push(T element) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [this] { return size_ < capacity_ || closed_; });
    if (closed_) return false;
    std::construct_at(slots_ + (first_ + size_++) % capacity_, std::move(element));
    not_empty_.notify_one();
    return true;
  }

  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return size_ > 0 || closed_; });
    if (size_ == 0) return std::nullopt;
    std::optional<T> element = take();
    not_full_.notify_one();
    return element;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    not_full_.notify_all();
    not_empty_.notify_all();
  }

  void clear() {
    std::vector<T> elements;  // declared before the lock, so destroyed after it
    std::lock_guard lock(mutex_);
    while (size_ > 0) elements.push_back(take());
    not_full_.notify_all();
  }

 private:
  T take() {
    T* slot = slots_ + first_;
    T element = std::move(*slot);
    std::destroy_at(slot);
    first_ = (first_ + 1) % capacity_;
    --size_;
    return element;
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable not_full_;
  std::condition_variable not_empty_;
  T* slots_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
};
