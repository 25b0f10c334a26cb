#pragma once

// 6.5 run-in-executor: let a coroutine on an event loop await a call that a worker process runs.
//
// Python's `await loop.run_in_executor(executor, function, argument)`.

#include <coroutine>
#include <given/event_loop.hpp>  // EventLoop, EventLoop::Work, Task
#include <given/executor.hpp>    // ProcessExecutor, Outcome
#include <string>
#include <string_view>

#include "exercise/not_done.hpp"

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
  RunInExecutor(EventLoop& loop, ProcessExecutor& executor, std::string_view function, std::string_view argument) {
    (void)loop, (void)executor, (void)function, (void)argument;  // take this line out once you use them
    interleave::not_done();
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  /// If the call is not over, nobody wants its outcome any more. The worker finishes it all the same, but no coroutine
  /// is resumed: the one that waited may be gone. loop.run() may return before the call is over, and the loop may be
  /// destroyed before.
  ~RunInExecutor() = default;

  // What co_await calls, in this order. await_suspend() may return bool instead, where false means that the coroutine
  // goes on at once.

  /// Whether the coroutine need not wait.
  bool await_ready() { interleave::not_done(); }

  /// The coroutine is suspended. It is resumed when the call is over, once, in the thread that runs the loop; until
  /// then loop.run() does not return. The call may be over already, since any moment.
  void await_suspend(std::coroutine_handle<> coroutine) {
    (void)coroutine;  // take this line out once you use it
    interleave::not_done();
  }

  /// What the function returned. If the call failed, throws what Outcome::get() throws.
  std::string await_resume() { interleave::not_done(); }
};
