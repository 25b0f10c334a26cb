// Gives the executor `this`: the awaitable lies in the coroutine, which is suspended, so it stays where it is; but a
// coroutine that is cancelled is destroyed, and the call goes on.
// caught: asan, RunInExecutor.ResumesNobodyWhenTheCoroutineIsGone, memory error

#pragma once

#include <coroutine>
#include <given/event_loop.hpp>
#include <given/executor.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

class RunInExecutor {
 public:
  RunInExecutor(EventLoop& loop, ProcessExecutor& executor, std::string_view function, std::string_view argument)
      : loop_(loop), work_(loop) {
    executor.submit(function, std::string(argument), [this](Outcome outcome) {
      loop_.post([this, outcome = std::move(outcome)]() mutable { deliver(std::move(outcome)); });
    });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  bool await_ready() { return outcome_.has_value(); }

  void await_suspend(std::coroutine_handle<> coroutine) { coroutine_ = coroutine; }

  std::string await_resume() { return std::move(*outcome_).get(); }

 private:
  void deliver(Outcome outcome) {
    outcome_ = std::move(outcome);
    work_.reset();
    if (coroutine_) coroutine_.resume();
  }

  EventLoop& loop_;
  std::optional<EventLoop::Work> work_;
  std::optional<Outcome> outcome_;
  std::coroutine_handle<> coroutine_;
};
