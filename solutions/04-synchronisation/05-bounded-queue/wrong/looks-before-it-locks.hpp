// Keeps the size in an atomic so that consumers can look without the lock, and takes the lock only to sleep: what is
// pushed between the look and the sleep wakes nobody.
// caught: explore, BoundedQueue.WakesAConsumerForEachElement, deadlock

#pragma once

#include <atomic>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

template <std::movable T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {
    if (capacity == 0) throw std::invalid_argument("BoundedQueue: capacity is 0");
  }

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  ~BoundedQueue() = default;

  bool push(T element) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [this] { return elements_.size() < capacity_ || closed_; });
    if (closed_) return false;
    elements_.push_back(std::move(element));
    ++size_;
    not_empty_.notify_one();
    return true;
  }

  std::optional<T> pop() {
    while (size_ == 0 && !closed_) {
      std::unique_lock lock(mutex_);
      not_empty_.wait(lock);
    }
    std::unique_lock lock(mutex_);
    if (elements_.empty()) {
      if (closed_) return std::nullopt;
      lock.unlock();
      return pop();  // another consumer was faster
    }
    std::optional<T> element = std::move(elements_.front());
    elements_.pop_front();
    --size_;
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
    std::deque<T> elements;  // declared before the lock, so destroyed after it
    std::lock_guard lock(mutex_);
    elements.swap(elements_);
    size_ = 0;
    not_full_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable not_full_;
  std::condition_variable not_empty_;
  std::deque<T> elements_;
  std::atomic<std::size_t> size_ = 0;
  std::atomic<bool> closed_ = false;
};
