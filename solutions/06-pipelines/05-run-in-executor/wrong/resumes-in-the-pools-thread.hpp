// Resumes the coroutine from the executor's callback, for that is where the outcome is: half of the coroutine then runs
// in another thread, beside a loop that takes itself for the only one.
// caught: plain, RunInExecutor.ResumesTheCoroutineInTheThreadOfTheLoop, wrong answer

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
    executor.submit(function, std::string(argument),
                    [state = state_](Outcome outcome) { deliver(*state, std::move(outcome)); });
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
    std::optional<EventLoop::Work> work;
    std::optional<Outcome> outcome;
    std::coroutine_handle<> coroutine;
  };

  static void deliver(State& state, Outcome outcome) {
    if (state.loop == nullptr) return;
    state.outcome = std::move(outcome);
    state.work.reset();
    if (state.coroutine) state.coroutine.resume();
  }

  std::shared_ptr<State> state_;
};
