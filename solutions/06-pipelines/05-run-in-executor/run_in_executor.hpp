#pragma once

// 6.5 run-in-executor: let a coroutine on an event loop await a call that a worker process runs.
//
// Python's `await loop.run_in_executor(executor, function, argument)`.

#include <coroutine>
#include <given/event_loop.hpp>  // EventLoop, EventLoop::Work, Task
#include <given/executor.hpp>    // ProcessExecutor, Outcome
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// One call of a function by a worker process, for one coroutine to await:
///
///   RunInExecutor call(loop, executor, "classify", image);
///   std::string digit = co_await call;
///
/// It is made, awaited and destroyed in the thread that runs the loop, and that thread never waits for the call: in the
/// meantime the loop runs what else there is, and when there is nothing it sleeps until it is woken. The call is
/// awaited once or not at all. The loop outlives this object.
class RunInExecutor {
 public:
  /// Submits the call to the executor, here and now. Calls that were made one after the other run at the same time, as
  /// far as there are workers, whether they are awaited yet or not.
  ///
  /// `function` and `argument` may be gone when this returns. Throws std::invalid_argument if there is no such
  /// function.
  RunInExecutor(EventLoop& loop, ProcessExecutor& executor, std::string_view function, std::string_view argument)
      : state_(std::make_shared<State>(loop)) {
    executor.submit(function, std::string(argument), [state = state_](Outcome outcome) {
      // The executor's thread. All it does is to pass the outcome on, if there still is somebody.
      std::lock_guard lock(state->mutex);
      if (state->loop == nullptr) return;
      state->loop->post([state, outcome = std::move(outcome)]() mutable { deliver(*state, std::move(outcome)); });
    });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  /// If the call is not over, nobody wants its outcome any more. The worker finishes it all the same, but no coroutine
  /// is resumed: the one that waited may be gone. loop.run() may return before the call is over, and the loop may be
  /// destroyed before.
  ~RunInExecutor() {
    std::lock_guard lock(state_->mutex);
    state_->loop = nullptr;
    state_->coroutine = nullptr;
    state_->work.reset();
  }

  // What co_await calls, in this order. await_suspend() may return bool instead, where false means that the coroutine
  // goes on at once.

  /// Whether the coroutine need not wait.
  bool await_ready() { return state_->outcome.has_value(); }

  /// The coroutine is suspended. It is resumed when the call is over, once, in the thread that runs the loop; until
  /// then loop.run() does not return. The call may be over already, since any moment.
  void await_suspend(std::coroutine_handle<> coroutine) { state_->coroutine = coroutine; }

  /// What the function returned. If the call failed, throws what Outcome::get() throws.
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
};
