// One condition variable for both sides, and everybody is woken at each change: whoever cannot go on sleeps again.

#pragma once

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
    changed_.wait(lock, [this] { return elements_.size() < capacity_ || closed_; });
    if (closed_) return false;
    elements_.push_back(std::move(element));
    changed_.notify_all();
    return true;
  }

  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !elements_.empty() || closed_; });
    if (elements_.empty()) return std::nullopt;
    std::optional<T> element = std::move(elements_.front());
    elements_.pop_front();
    changed_.notify_all();
    return element;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  void clear() {
    std::deque<T> elements;  // declared before the lock, so destroyed after it
    std::lock_guard lock(mutex_);
    elements.swap(elements_);
    changed_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> elements_;
  bool closed_ = false;
};
