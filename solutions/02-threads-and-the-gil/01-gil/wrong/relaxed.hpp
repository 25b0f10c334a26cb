// Takes the lock by a relaxed exchange of the owner, since the owner is all that counts: no two threads are in at once,
// but nothing that the one has written has to be visible to the next.
// caught: tsan, Gil.LetsOneThreadInAtATime, data race

#pragma once

#include <atomic>
#include <stdexcept>
#include <thread>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    if (held()) throw std::logic_error("Gil::acquire: this thread holds it already");
    std::thread::id owner;
    while (!owner_.compare_exchange_strong(owner, std::this_thread::get_id(), std::memory_order_relaxed)) {
      owner_.wait(owner, std::memory_order_relaxed);
      owner = std::thread::id();
    }
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    owner_.store(std::thread::id(), std::memory_order_relaxed);
    owner_.notify_one();
  }

  bool held() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

 private:
  std::atomic<std::thread::id> owner_;
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
