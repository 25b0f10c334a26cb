// Tells the executor's callback by a plain pointer that nobody wants the outcome: it is only ever set to null, and that
// in one place, but the other thread reads it in the same moment, and may be past the question when the loop goes.
// caught: tsan, RunInExecutor.LeavesTheLoopAloneWhenTheCoroutineIsGone, data race

#pragma once

#include <coroutine>
#include <given/event_loop.hpp>
#include <given/executor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

class RunInExecutor {
 public:
  RunInExecutor(EventLoop& loop, ProcessExecutor& executor, std::string_view function, std::string_view argument)
      : state_(std::make_shared<State>(loop)) {
    executor.submit(function, std::string(argument), [state = state_](Outcome outcome) {
      // The executor's thread. All it does is to pass the outcome on, if there still is somebody.
      if (state->loop == nullptr) return;
      state->loop->post([state, outcome = std::move(outcome)]() mutable { deliver(*state, std::move(outcome)); });
    });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  ~RunInExecutor() {
    state_->loop = nullptr;
    state_->coroutine = nullptr;
    state_->work.reset();
  }

  bool await_ready() { return state_->outcome.has_value(); }

  void await_suspend(std::coroutine_handle<> coroutine) { state_->coroutine = coroutine; }

  std::string await_resume() { return std::move(*state_->outcome).get(); }

 private:
  // What must outlive the coroutine: the executor will call back, whatever has become of us.
  struct State {
    explicit State(EventLoop& its_loop) : loop(&its_loop), work(its_loop) {}
    EventLoop* loop;  // null when nobody wants the outcome

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
};
