// Releases only if all went well, so that nobody gets to see what the failed code has left half done: but then nobody
// gets to see anything any more, for nobody else will release it.
// caught: plain, GilHolder.ReleasesItOnEveryWayOut, wrong answer

#pragma once

#include <atomic>
#include <exception>
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
    owner_.store(std::thread::id(), std::memory_order_relaxed);
    mutex_.unlock();
  }

  bool held() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

 private:
  std::mutex mutex_;
  std::atomic<std::thread::id> owner_;
};

class GilHolder {
 public:
  explicit GilHolder(Gil& gil) : gil_(gil), exceptions_(std::uncaught_exceptions()) { gil_.acquire(); }
  GilHolder(const GilHolder&) = delete;
  GilHolder& operator=(const GilHolder&) = delete;
  ~GilHolder() {
    if (std::uncaught_exceptions() == exceptions_) gil_.release();
  }

 private:
  Gil& gil_;
  int exceptions_;
};
