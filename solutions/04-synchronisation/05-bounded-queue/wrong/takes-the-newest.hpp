// Keeps the elements in a vector and takes them from the end, where that is cheap: nothing is lost, but it is a stack,
// and the oldest element waits for as long as new ones come.
// caught: plain, BoundedQueue.GivesTheOldestElementFirst, wrong answer

#pragma once

#include <concepts>
#include <condition_variable>
#include <cstddef>
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
  }

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  ~BoundedQueue() = default;

  bool push(T element) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [this] { return elements_.size() < capacity_ || closed_; });
    if (closed_) return false;
    elements_.push_back(std::move(element));
    not_empty_.notify_one();
    return true;
  }

  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return !elements_.empty() || closed_; });
    if (elements_.empty()) return std::nullopt;
    std::optional<T> element = std::move(elements_.back());
    elements_.pop_back();
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
    elements.swap(elements_);
    not_full_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable not_full_;
  std::condition_variable not_empty_;
  std::vector<T> elements_;
  bool closed_ = false;
};
