// Remembers in the loop's thread that nobody wants the outcome any more, and looks there, when the callback comes: but
// to get there it posts to the loop, which may have been destroyed meanwhile.
// caught: asan, RunInExecutor.LeavesTheLoopAloneWhenTheCoroutineIsGone, memory error

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
    executor.submit(function, std::string(argument), [&loop, state = state_](Outcome outcome) {
      loop.post([state, outcome = std::move(outcome)]() mutable { deliver(*state, std::move(outcome)); });
    });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  ~RunInExecutor() {
    state_->wanted = false;
    state_->coroutine = nullptr;
    state_->work.reset();
  }

  bool await_ready() { return state_->outcome.has_value(); }

  void await_suspend(std::coroutine_handle<> coroutine) { state_->coroutine = coroutine; }

  std::string await_resume() { return std::move(*state_->outcome).get(); }

 private:
  // What must outlive the coroutine: the executor will call back, whatever has become of us.
  struct State {
    explicit State(EventLoop& loop) : work(loop) {}
    bool wanted = true;
    std::optional<EventLoop::Work> work;
    std::optional<Outcome> outcome;
    std::coroutine_handle<> coroutine;
  };

  // In the loop's thread. Our RunInExecutor may have been destroyed since this was posted.
  static void deliver(State& state, Outcome outcome) {
    if (!state.wanted) return;
    state.outcome = std::move(outcome);
    state.work.reset();
    if (state.coroutine) state.coroutine.resume();
  }

  std::shared_ptr<State> state_;
};
