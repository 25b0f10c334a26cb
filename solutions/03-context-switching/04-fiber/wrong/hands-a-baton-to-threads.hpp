// Makes each fiber a thread and lets only the one run that has the baton: the order is right and exceptions come for
// free, but each switch is one of the kernel, ten times as expensive, and each fiber costs a thread.
// caught: plain, FiberScheduler.RunsAFiberToItsEndOnTheCallingThread, forbidden shortcut

#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

class FiberScheduler {
 public:
  explicit FiberScheduler(std::size_t stack_size = 256 * 1024) {
    if (stack_size == 0) throw std::invalid_argument("FiberScheduler: a stack of 0 bytes");
  }

  FiberScheduler(const FiberScheduler&) = delete;
  FiberScheduler& operator=(const FiberScheduler&) = delete;

  void spawn(std::function<void()> body) {
    Fiber& fiber = fibers_.emplace_back();
    ready_.push_back(&fiber);
    fiber.thread = std::thread([this, &fiber, function = std::move(body)] {
      wait_for_turn(&fiber);
      try {
        function();
      } catch (...) {
        if (!first_exception_) first_exception_ = std::current_exception();
      }
      fiber.finished = true;
      give_turn_to(nullptr);
    });
  }

  void run() {
    if (turn_of_ != nullptr) throw std::logic_error("FiberScheduler::run: called in a fiber");
    while (!ready_.empty()) {
      Fiber* fiber = ready_.front();
      ready_.pop_front();
      give_turn_to(fiber);
      wait_for_turn(nullptr);
      if (fiber->finished) {
        fiber->thread.join();
        fibers_.remove_if([fiber](const Fiber& other) { return &other == fiber; });
      } else {
        ready_.push_back(fiber);
      }
    }
    if (first_exception_) std::rethrow_exception(std::exchange(first_exception_, nullptr));
  }

  void yield() {
    Fiber* fiber = turn_of_;
    if (fiber == nullptr) throw std::logic_error("FiberScheduler::yield: called outside a fiber");
    give_turn_to(nullptr);
    wait_for_turn(fiber);
  }

 private:
  struct Fiber {
    std::thread thread;
    bool finished = false;
  };

  // The baton: null when it is the turn of run().
  void give_turn_to(Fiber* fiber) {
    std::lock_guard lock(mutex_);
    turn_of_ = fiber;
    changed_.notify_all();
  }
  void wait_for_turn(Fiber* fiber) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return turn_of_ == fiber; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Fiber* turn_of_ = nullptr;
  std::list<Fiber> fibers_;
  std::deque<Fiber*> ready_;
  std::exception_ptr first_exception_;
};
