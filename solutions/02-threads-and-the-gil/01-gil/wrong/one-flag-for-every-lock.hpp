// Each thread has a flag that says whether it holds the lock, which needs no synchronisation at all: but it is one flag
// a thread, and not one a thread and lock, and so with a second interpreter it is wrong.
// caught: plain, Gil.MayBeHeldTogetherWithAnother, wrong answer

#pragma once

#include <mutex>
#include <stdexcept>

class Gil {
 public:
  Gil() = default;
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

  void acquire() {
    if (mine()) throw std::logic_error("Gil::acquire: this thread holds it already");
    mutex_.lock();
    mine() = true;
  }

  void release() {
    if (!mine()) throw std::logic_error("Gil::release: this thread does not hold it");
    mine() = false;
    mutex_.unlock();
  }

  bool held() const { return mine(); }

 private:
  static bool& mine() {
    static thread_local bool held = false;
    return held;
  }

  std::mutex mutex_;
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
