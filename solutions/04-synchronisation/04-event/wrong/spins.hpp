// Looks at an atomic again and again: no notification can be lost where there is none, but the thread that waits
// uses a whole CPU to do nothing, and takes it from the one that it waits for.
// caught: plain, Event.CountsTheThreadsThatWaitAndLetsThemSleep, wrong answer

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

class Event {
 public:
  Event() = default;

  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() {
    is_set_ = true;
    ++sets_;
  }

  void clear() { is_set_ = false; }

  bool is_set() const { return is_set_; }

  void wait() {
    const std::uint64_t before = sets_;
    if (is_set_) return;
    ++waiting_;
    while (sets_ == before) std::this_thread::yield();
    --waiting_;
  }

  bool wait_for(std::chrono::nanoseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    const std::uint64_t before = sets_;
    if (is_set_) return true;
    ++waiting_;
    while (sets_ == before && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    --waiting_;
    return sets_ != before;
  }

  int waiting() const { return waiting_; }

 private:
  std::atomic<bool> is_set_ = false;
  std::atomic<std::uint64_t> sets_ = 0;
  std::atomic<int> waiting_ = 0;
};
