// Each thread that waits has a condition variable of its own and stands in line; who makes an element or room rings for
// the first in line. Go's channels keep their waiters so.

#pragma once

#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

template <std::movable T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : slots_(capacity) {
    if (capacity == 0) throw std::invalid_argument("BoundedQueue: capacity is 0");
  }

  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  bool push(T element) {
    std::unique_lock lock(mutex_);
    while (size_ == slots_.size() && !closed_) wait_in(producers_, lock);
    if (closed_) return false;
    slots_[(first_ + size_++) % slots_.size()] = std::move(element);
    ring_first_of(consumers_);
    return true;
  }

  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    while (size_ == 0 && !closed_) wait_in(consumers_, lock);
    if (size_ == 0) return std::nullopt;
    std::optional<T> element = std::exchange(slots_[first_], std::nullopt);
    first_ = (first_ + 1) % slots_.size();
    --size_;
    ring_first_of(producers_);
    return element;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    ring_all_of(producers_);
    ring_all_of(consumers_);
  }

  void clear() {
    std::vector<std::optional<T>> emptied(slots_.size());
    std::lock_guard lock(mutex_);
    emptied.swap(slots_);
    size_ = 0;
    ring_all_of(producers_);
  }

 private:
  struct Waiter {
    std::condition_variable bell;
    bool rung = false;
  };
  using Line = std::deque<Waiter*>;

  static void wait_in(Line& line, std::unique_lock<std::mutex>& lock) {
    Waiter self;
    line.push_back(&self);
    self.bell.wait(lock, [&] { return self.rung; });
  }

  // With the lock held, or the waiter could be gone before its bell is rung.
  static void ring_first_of(Line& line) {
    if (line.empty()) return;
    line.front()->rung = true;
    line.front()->bell.notify_one();
    line.pop_front();
  }

  static void ring_all_of(Line& line) {
    while (!line.empty()) ring_first_of(line);
  }

  std::mutex mutex_;
  Line producers_;
  Line consumers_;
  std::vector<std::optional<T>> slots_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
};
