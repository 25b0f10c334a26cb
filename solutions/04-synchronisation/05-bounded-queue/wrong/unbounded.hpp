// Takes the capacity for a hint and always finds room: no producer ever waits, and the memory that they fill faster
// than the consumers empty it is the whole machine's.
// caught: plain, BoundedQueue.SleepsWhileItIsFull, wrong answer

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
  explicit BoundedQueue(std::size_t capacity) {
    if (capacity == 0) throw std::invalid_argument("BoundedQueue: capacity is 0");
  }

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  ~BoundedQueue() = default;

  bool push(T element) {
    std::unique_lock lock(mutex_);
    if (closed_) return false;
    elements_.push_back(std::move(element));
    not_empty_.notify_one();
    return true;
  }

  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return !elements_.empty() || closed_; });
    if (elements_.empty()) return std::nullopt;
    std::optional<T> element = std::move(elements_.front());
    elements_.pop_front();
    return element;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    not_empty_.notify_all();
  }

  void clear() {
    std::deque<T> elements;  // declared before the lock, so destroyed after it
    std::lock_guard lock(mutex_);
    elements.swap(elements_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::deque<T> elements_;
  bool closed_ = false;
};
