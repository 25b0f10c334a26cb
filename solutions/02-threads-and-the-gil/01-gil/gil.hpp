#pragma once

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    if (held()) throw std::logic_error("Gil::acquire: this thread holds it already");
    mutex_.lock();
    owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  }

  void release() {
    if (!held()) throw std::logic_error("Gil::release: this thread does not hold it");
    // Before the mutex is free: afterwards the owner is another's to write.
    owner_.store(std::thread::id(), std::memory_order_relaxed);
    mutex_.unlock();
  }

  bool held() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

 private:
  std::mutex mutex_;

  // Written by the holder only, asked by anybody. Relaxed is enough: a thread finds its own id here only if it was the
  // last to write it, and which of the others it finds does not matter. The mutex orders everything else.
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
