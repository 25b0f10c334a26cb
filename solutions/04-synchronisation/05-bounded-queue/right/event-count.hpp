// No condition variable: an atomic number counts the changes, and who cannot go on sleeps until it is another than
// before the look (a futex, by std::atomic::wait).

#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <list>
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

  bool push(T element) {
    while (true) {
      int seen = changes_;
      {
        std::lock_guard lock(mutex_);
        if (closed_) return false;
        if (elements_.size() < capacity_) {
          elements_.push_back(std::move(element));
          break;
        }
      }
      changes_.wait(seen);
    }
    announce();
    return true;
  }

  std::optional<T> pop() {
    std::optional<T> element;
    while (true) {
      int seen = changes_;
      {
        std::lock_guard lock(mutex_);
        if (!elements_.empty()) {
          element = std::move(elements_.front());
          elements_.pop_front();
          break;
        }
        if (closed_) return std::nullopt;
      }
      changes_.wait(seen);
    }
    announce();
    return element;
  }

  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    announce();
  }

  void clear() {
    std::list<T> elements;
    {
      std::lock_guard lock(mutex_);
      elements.swap(elements_);
    }
    announce();
  }

 private:
  void announce() {
    ++changes_;
    changes_.notify_all();
  }

  const std::size_t capacity_;
  std::atomic<int> changes_ = 0;
  std::mutex mutex_;
  std::list<T> elements_;
  bool closed_ = false;
};
