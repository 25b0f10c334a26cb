// Gets a future for the call and waits for it when the coroutine awaits: it reads like co_await and every answer is
// right, but the thread that waits is the loop's, and all other requests wait with it.
// caught: plain, RunInExecutor.KeepsTheLoopRunningAndFreeWhileTheCallIsUnderWay, over-synchronised

#pragma once

#include <coroutine>
#include <future>
#include <given/event_loop.hpp>
#include <given/executor.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

class RunInExecutor {
 public:
  RunInExecutor(EventLoop&, ProcessExecutor& executor, std::string_view function, std::string_view argument) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    outcome_ = promise->get_future();
    executor.submit(function, std::string(argument),
                    [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
  }

  RunInExecutor(const RunInExecutor&) = delete;
  RunInExecutor& operator=(const RunInExecutor&) = delete;

  bool await_ready() {
    outcome_.wait();
    return true;
  }

  void await_suspend(std::coroutine_handle<>) {}

  std::string await_resume() { return outcome_.get().get(); }

 private:
  std::future<Outcome> outcome_;
};
