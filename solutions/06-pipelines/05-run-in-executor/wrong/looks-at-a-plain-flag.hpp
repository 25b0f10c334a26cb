// Lets the executor's thread store the outcome and then set a plain flag that await_ready() reads first, to spare a
// suspension: a flag is one byte and cannot be torn, but nothing says that the outcome is there when the flag is.
// caught: tsan, RunInExecutor.KeepsTheLoopRunningAndFreeWhileTheCallIsUnderWay, data race

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
      // The executor's thread. All it does is to pass the outcome on, if there still is somebody.
      std::lock_guard lock(state->mutex);
      if (state->loop == nullptr) return;
      state->outcome = std::move(outcome);
      state->over = true;
      state->loop->post([state] { go_on(*state); });
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

  bool await_ready() { return state_->over; }

  void await_suspend(std::coroutine_handle<> coroutine) { state_->coroutine = coroutine; }

  std::string await_resume() { return std::move(*state_->outcome).get(); }

 private:
  // What must outlive the coroutine: the executor will call back, whatever has become of us.
  struct State {
    explicit State(EventLoop& its_loop) : loop(&its_loop), work(its_loop) {}
    std::mutex mutex;
    EventLoop* loop;  // null when nobody wants the outcome; under the mutex, and written by the loop's thread

    bool over = false;
    std::optional<Outcome> outcome;
    std::optional<EventLoop::Work> work;
    std::coroutine_handle<> coroutine;
  };

  // In the loop's thread. Our RunInExecutor may have been destroyed since this was posted.
  static void go_on(State& state) {
    if (state.loop == nullptr) return;
    state.work.reset();
    if (state.coroutine) state.coroutine.resume();
  }

  std::shared_ptr<State> state_;
};
