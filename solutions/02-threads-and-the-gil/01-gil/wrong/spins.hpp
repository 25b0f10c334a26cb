// Tries again until it gets the lock, which is the fastest way for a wait of nanoseconds: right in every interleaving,
// but a thread that waits while another one computes burns a core for it.
// caught: plain, Gil.SleepsUntilItIsReleased, wrong answer

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
    for (std::thread::id owner; !owner_.compare_exchange_weak(owner, std::this_thread::get_id()); owner = {}) {
    }
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    owner_.store(std::thread::id());
  }

  bool held() const { return owner_.load() == std::this_thread::get_id(); }

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
