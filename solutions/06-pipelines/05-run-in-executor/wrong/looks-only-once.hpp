// Asks in await_ready() whether the call is over, under the lock, and in await_suspend() leaves the coroutine to be
// resumed, under the lock too: a call that ends between the two finds nobody to resume, and nobody looks again.
// caught: plain, RunInExecutor.MissesNoCallThatEndsWhileTheCoroutineIsBeingSuspended, deadlock

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
      : state_(std::make_shared<State>(loop)) {
    executor.submit(function, std::string(argument), [state = state_](Outcome outcome) {
      std::lock_guard lock(state->mutex);
      state->outcome = std::move(outcome);
      if (state->loop != nullptr && state->coroutine) state->loop->post([state] { go_on(*state); });
    });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  ~RunInExecutor() {
    std::lock_guard lock(state_->mutex);
    state_->loop = nullptr;
    state_->coroutine = nullptr;
    state_->work.reset();
  }

  bool await_ready() {
    std::lock_guard lock(state_->mutex);
    return state_->outcome.has_value();
  }

  void await_suspend(std::coroutine_handle<> coroutine) {
    std::lock_guard lock(state_->mutex);
    state_->coroutine = coroutine;
    state_->work.emplace(*state_->loop);
  }

  std::string await_resume() {
    std::lock_guard lock(state_->mutex);
    return std::move(*state_->outcome).get();
  }

 private:
  struct State {
    explicit State(EventLoop& its_loop) : loop(&its_loop) {}
    std::mutex mutex;
    EventLoop* loop;  // null when nobody wants the outcome
    std::optional<EventLoop::Work> work;
    std::optional<Outcome> outcome;
    std::coroutine_handle<> coroutine;
  };

  // In the loop's thread.
  static void go_on(State& state) {
    std::coroutine_handle<> coroutine;
    {
      std::lock_guard lock(state.mutex);
      coroutine = std::exchange(state.coroutine, nullptr);
      state.work.reset();
    }
    if (coroutine) coroutine.resume();
  }

  std::shared_ptr<State> state_;
};
