// The lock does not know its owner, but each thread has a list of the locks that it holds: thread-local, so there is
// nothing to race for. The lock itself is a flag that belongs to nobody.

#pragma once

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <vector>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    if (held()) throw std::logic_error("Gil::acquire: this thread holds it already");
    while (taken_.exchange(true, std::memory_order_acquire)) taken_.wait(true, std::memory_order_relaxed);
    mine().push_back(this);
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    std::erase(mine(), this);
    taken_.store(false, std::memory_order_release);
    taken_.notify_one();
  }

  bool held() const { return std::find(mine().begin(), mine().end(), this) != mine().end(); }

 private:
  static std::vector<const Gil*>& mine() {
    static thread_local std::vector<const Gil*> held;
    return held;
  }

  std::atomic<bool> taken_ = false;
};

class GilHolder {
 public:
  explicit GilHolder(Gil& gil) : gil_(gil) { gil_.acquire(); }
  GilHolder(const GilHolder&) = delete;
  GilHolder& operator=(const GilHolder&) = delete;
  ~GilHolder() { gil_.release(); }

 private:
  Gil& gil_;
};
