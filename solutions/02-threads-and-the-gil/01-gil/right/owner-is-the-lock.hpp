// One atomic is both the lock and the owner: the address of something that each thread has for itself, or null. A
// thread that finds another's address sleeps until it changes, by futex(2).

#pragma once

#include <atomic>
#include <stdexcept>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    if (held()) throw std::logic_error("Gil::acquire: this thread holds it already");
    for (const char* owner = nullptr; !owner_.compare_exchange_strong(owner, me(), std::memory_order_acquire);) {
      owner_.wait(owner, std::memory_order_relaxed);
      owner = nullptr;
    }
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    owner_.store(nullptr, std::memory_order_release);
    owner_.notify_one();
  }

  bool held() const { return owner_.load(std::memory_order_relaxed) == me(); }

 private:
  static const char* me() {
    static thread_local char mine;
    return &mine;
  }

  std::atomic<const char*> owner_ = nullptr;
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
