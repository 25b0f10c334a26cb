// Submits the call in await_suspend(), when somebody waits for it, as a lazy coroutine does: it saves calls that nobody
// awaits, but two calls that a coroutine makes and then awaits run one after the other.
// caught: plain, RunInExecutor.OverlapsTheCallsOfOneCoroutine, over-synchronised

#pragma once

#include <coroutine>
#include <given/event_loop.hpp>
#include <given/executor.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

class RunInExecutor {
 public:
  RunInExecutor(EventLoop& loop, ProcessExecutor& executor, std::string_view function, std::string_view argument)
      : state_(std::make_shared<State>(loop)), executor_(executor), function_(function), argument_(argument) {}

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  ~RunInExecutor() {
    std::lock_guard lock(state_->mutex);
    state_->loop = nullptr;
    state_->coroutine = nullptr;
    state_->work.reset();
  }

  bool await_ready() { return false; }

  void await_suspend(std::coroutine_handle<> coroutine) {
    state_->coroutine = coroutine;
    executor_.submit(function_, std::string(argument_), [state = state_](Outcome outcome) {
      // The executor's thread. All it does is to pass the outcome on, if there still is somebody.
      std::lock_guard lock(state->mutex);
      if (state->loop == nullptr) return;
      state->loop->post([state, outcome = std::move(outcome)]() mutable { deliver(*state, std::move(outcome)); });
    });
  }

  std::string await_resume() { return std::move(*state_->outcome).get(); }

 private:
  // What must outlive the coroutine: the executor will call back, whatever has become of us.
  struct State {
    explicit State(EventLoop& its_loop) : loop(&its_loop), work(its_loop) {}
    std::mutex mutex;
    EventLoop* loop;  // null when nobody wants the outcome; under the mutex, and written by the loop's thread

    // The loop's thread's own.
    std::optional<EventLoop::Work> work;
    std::optional<Outcome> outcome;
    std::coroutine_handle<> coroutine;
  };

  // In the loop's thread. Our RunInExecutor may have been destroyed since this was posted.
  static void deliver(State& state, Outcome outcome) {
    if (state.loop == nullptr) return;
    state.outcome = std::move(outcome);
    state.work.reset();
    if (state.coroutine) state.coroutine.resume();
  }

  std::shared_ptr<State> state_;
  ProcessExecutor& executor_;
  std::string function_, argument_;
};
