// Lets the loop sleep for a millisecond between one look and the next, to go easy on the processor: but it is the loop
// that sleeps, so everybody else's callback comes a millisecond late, and so does the answer.
// caught: plain, RunInExecutor.KeepsTheLoopRunningAndFreeWhileTheCallIsUnderWay, wrong answer

#pragma once

#include <chrono>
#include <coroutine>
#include <given/event_loop.hpp>
#include <given/executor.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

class RunInExecutor {
 public:
  RunInExecutor(EventLoop& loop, ProcessExecutor& executor, std::string_view function, std::string_view argument)
      : state_(std::make_shared<State>(loop)) {
    executor.submit(function, std::string(argument), [state = state_](Outcome outcome) {
      std::lock_guard lock(state->mutex);
      state->outcome = std::move(outcome);
    });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  ~RunInExecutor() {
    state_->loop = nullptr;
    state_->coroutine = nullptr;
  }

  bool await_ready() { return is_over(*state_); }

  void await_suspend(std::coroutine_handle<> coroutine) {
    state_->coroutine = coroutine;
    state_->loop->post([state = state_] { look(state); });
  }

  std::string await_resume() { return std::move(*state_->outcome).get(); }

 private:
  // What must outlive the coroutine: the executor will call back, whatever has become of us.
  struct State {
    explicit State(EventLoop& its_loop) : loop(&its_loop) {}
    std::mutex mutex;
    EventLoop* loop;  // null when nobody wants the outcome

    std::optional<Outcome> outcome;  // under the mutex
    std::coroutine_handle<> coroutine;
  };

  static bool is_over(State& state) {
    std::lock_guard lock(state.mutex);
    return state.outcome.has_value();
  }

  static void look(const std::shared_ptr<State>& state) {
    if (state->loop == nullptr) return;
    if (is_over(*state)) {
      state->coroutine.resume();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      state->loop->post([state] { look(state); });
    }
  }

  std::shared_ptr<State> state_;
};
