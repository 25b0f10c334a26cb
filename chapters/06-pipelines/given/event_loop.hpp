#pragma once

// An event loop and the coroutines that run on it. The loop is an io_context of Boost.Asio, which is compiled once, in
// event_loop.cpp: its headers take longer to compile than everything else here together.
//
// Python's `asyncio` event loop and `asyncio.Task`.

#include <coroutine>
#include <functional>
#include <memory>
#include <utility>

/// Runs callbacks, one after the other, in the thread that calls run().
class EventLoop {
  struct Engine {
    virtual ~Engine() = default;
    virtual void post(std::function<void()> callback) = 0;
    virtual void run() = 0;
    virtual std::shared_ptr<void> work() = 0;
  };

 public:
  EventLoop();

  /// Callbacks that have not been called are destroyed.
  ~EventLoop() = default;

  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Has run() call `callback`, after all that were posted before, and returns. May be called from any thread.
  void post(std::function<void()> callback) { engine_->post(std::move(callback)); }

  /// Calls what was posted and what will be. Sleeps while there is nothing to call. Returns when there is nothing to
  /// call and no Work; then it may be called again. What a callback throws comes out of here.
  void run() { engine_->run(); }

  /// While there is one, run() does not return: somebody is going to post something. All of them are gone before the
  /// loop is. In any thread.
  class Work {
   public:
    explicit Work(EventLoop& loop) : guard_(loop.engine_->work()) {}

   private:
    std::shared_ptr<void> guard_;
  };

 private:
  class AsioEngine;
  std::unique_ptr<Engine> engine_;
};

/// A coroutine without a result. start() runs it until it has to wait for the first time; whoever has what it waits for
/// resumes it.
///
/// The coroutine lives as long as its Task: to destroy the Task of one that waits is to cancel it. The objects in it
/// are destroyed, and it must not be resumed any more.
class [[nodiscard]] Task {
 public:
  struct promise_type {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { throw; }  // out of start(), or out of the resume() that woke it up
  };

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  void start() { coroutine_.resume(); }

  /// Whether it has come to its end, or has thrown.
  bool done() const { return coroutine_.done(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};
