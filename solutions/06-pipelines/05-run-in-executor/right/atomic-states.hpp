// No lock: an atomic says whether the outcome is wanted, and the destructor waits for a thread that is passing it on at
// that moment.

#pragma once

#include <atomic>
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
      Stage stage = Stage::wanted;
      if (!state->stage.compare_exchange_strong(stage, Stage::being_posted)) return;
      state->loop.post([state, outcome = std::move(outcome)]() mutable { deliver(*state, std::move(outcome)); });
      state->stage = Stage::posted;
      state->stage.notify_one();
    });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  ~RunInExecutor() {
    Stage stage = Stage::wanted;
    if (!state_->stage.compare_exchange_strong(stage, Stage::unwanted)) state_->stage.wait(Stage::being_posted);
    state_->destroyed = true;
    state_->work.reset();
  }

  bool await_ready() { return state_->outcome.has_value(); }

  void await_suspend(std::coroutine_handle<> coroutine) { state_->coroutine = coroutine; }

  std::string await_resume() { return std::move(*state_->outcome).get(); }

 private:
  enum class Stage { wanted, being_posted, posted, unwanted };

  // What must outlive the coroutine: the executor will call back, whatever has become of us.
  struct State {
    explicit State(EventLoop& its_loop) : loop(its_loop), work(its_loop) {}
    EventLoop& loop;  // there until the stage is posted or unwanted
    std::atomic<Stage> stage = Stage::wanted;

    // The loop's thread's own.
    std::optional<EventLoop::Work> work;
    std::optional<Outcome> outcome;
    std::coroutine_handle<> coroutine;
    bool destroyed = false;
  };

  // In the loop's thread. Our RunInExecutor may have been destroyed since this was posted.
  static void deliver(State& state, Outcome outcome) {
    if (state.destroyed) return;
    state.outcome = std::move(outcome);
    state.work.reset();
    if (state.coroutine) state.coroutine.resume();
  }

  std::shared_ptr<State> state_;
};
