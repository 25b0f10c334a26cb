#include "exercise/test.hpp"

#include <run_in_executor.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;

namespace {

#if __has_feature(thread_sanitizer)
constexpr bool under_tsan = true;
#else
constexpr bool under_tsan = false;
#endif

std::string echo(const std::string& argument) { return argument; }

struct Application {
  explicit Application(Functions functions, int workers = 1)
      : server(std::move(functions)), executor(server, workers) {}
  ForkServer server;
  EventLoop loop;
  ProcessExecutor executor;
};

// Awaits one call, and says in words what came of it. What is in an exception is freed by one of two threads, and
// ThreadSanitizer does not see how they settle which, so there it is by type alone.
Task request(EventLoop& loop, ProcessExecutor& executor, std::string function, std::string argument,
             std::string& answer) {
  try {
    answer = co_await RunInExecutor(loop, executor, function, argument);
  } catch (const TaskError& error) {
    answer = under_tsan ? "TaskError" : std::string("TaskError: ") + error.what();
  } catch (const BrokenWorker& error) {
    answer = under_tsan ? "BrokenWorker" : "BrokenWorker, status " + std::to_string(error.status);
  }
}

// Runs a coroutine, and a callback after it, until the loop has no more to do.
void run(
    Application& app, Task coroutine, std::function<void()> callback = [] {}) {
  coroutine.start();
  app.loop.post(std::move(callback));
  app.loop.run();
}

std::string answer_to(Application& app, const std::string& function, const std::string& argument) {
  std::string answer = "no answer";
  run(app, request(app.loop, app.executor, function, argument, answer));
  return answer;
}

// When this returns, the executor has said how the calls ended that were submitted before. It has one worker.
void wait_until_over(ProcessExecutor& executor) {
  std::latch over(1);
  executor.submit("echo", "", [&](const Outcome&) { over.count_down(); });
  over.wait();
}

}  // namespace

TEST(RunInExecutor, KeepsTheLoopRunningAndFreeWhileTheCallIsUnderWay) {
  Rendezvous go(2, "a callback runs on the loop while the call is under way");
  Application app({{"wait", [&](auto& text) { return go.arrive_and_wait(), text; }}, {"echo", echo}});
  std::string answer;
  Task task = request(app.loop, app.executor, "wait", "text", answer);
  std::atomic<bool> slept = false;
  std::optional<Onlooker> onlooker;
  task.start();
  app.loop.post([&] {
    onlooker.emplace([&](Onlooker& it) {
      Onlooker::Sight sight = it.wait_until_asleep();
      if (sight.what == Onlooker::busy) {
        it.fail(FailureKind::wrong_answer, "there is nothing to do but wait for the call, and the loop uses the CPU");
      }
      if (sight.time_limit && !interleave::under_sanitizer) {  // ThreadSanitizer's own thread sleeps for a time
        it.fail(FailureKind::wrong_answer,
                "somebody sleeps for a time, to look again; it must sleep until it is woken");
      }
      slept = sight.what == Onlooker::asleep;
      go.arrive_and_wait();
    });
  });
  app.loop.run();
  onlooker->call_is_over();
  EXPECT_TRUE(slept) << "run() returned, and a coroutine waits for a call that is under way";
  wait_until_over(app.executor);
}

TEST(RunInExecutor, ResumesTheCoroutineInTheThreadOfTheLoop) {
  struct Seen {
    std::string result = "nothing";
    std::thread::id thread;
  } seen;
  auto coroutine = [](Application& app, Seen& sees) -> Task {
    sees.result = co_await RunInExecutor(app.loop, app.executor, "wait", std::string_view("a\0b", 3));
    sees.thread = std::this_thread::get_id();
  };
  Rendezvous go(2, "a callback runs on the loop while the call is under way");
  Application app({{"wait", [&](auto& text) { return go.arrive_and_wait(), text; }}, {"echo", echo}});
  Task task = coroutine(app, seen);
  task.start();
  app.loop.post([&] { go.arrive_and_wait(); });
  app.loop.run();
  wait_until_over(app.executor);
  EXPECT_EQ(seen.thread, std::this_thread::get_id()) << "the thread in which the coroutine goes on after co_await";
  EXPECT_EQ(seen.result, std::string("a\0b", 3)) << "the function returns its argument";
}

TEST(RunInExecutor, TakesItsArgumentsWithIt) {
  auto coroutine = [](Application& app, std::string& answer) -> Task {
    auto function = std::make_unique<std::string>("wait, by a name that is on the heap");
    auto argument = std::make_unique<std::string>(100, 'x');
    RunInExecutor call(app.loop, app.executor, *function, *argument);
    function.reset(), argument.reset();
    answer = co_await call;
  };
  Rendezvous go(2, "a callback runs on the loop while the call is under way");
  Application app({{"wait, by a name that is on the heap", [&](auto& text) { return go.arrive_and_wait(), text; }}});
  std::string answer;
  run(app, coroutine(app, answer), [&] { go.arrive_and_wait(); });
  EXPECT_EQ(answer, std::string(100, 'x')) << "the argument, which was gone before the call was awaited";
}

TEST(RunInExecutor, OverlapsTheCallsOfOneCoroutine) {
  auto coroutine = [](Application& app, Rendezvous& go, std::string& answer) -> Task {
    RunInExecutor one(app.loop, app.executor, "meet", "one");
    RunInExecutor other(app.loop, app.executor, "meet and wait", " other");
    answer = co_await one;
    app.loop.post([&] { go.arrive_and_wait(); });
    answer += co_await other;
  };
  Rendezvous both(3,
                  "2 calls that were made one after the other run at the same time on 2 workers, and the loop is free");
  Rendezvous go(2, "a callback runs on the loop while the call is under way");
  Application app({{"meet", [&](auto& text) { return both.arrive_and_wait(), text; }},
                   {"meet and wait", [&](auto& text) { return both.arrive_and_wait(), go.arrive_and_wait(), text; }}},
                  2);
  std::string answer;
  run(app, coroutine(app, go, answer), [&] { both.arrive_and_wait(); });
  EXPECT_EQ(answer, "one other") << "the results of both calls";
}

TEST(RunInExecutor, RefusesAFunctionThatTheServerDoesNotHave) {
  Application app({{"echo", echo}});
  EXPECT_THROW(RunInExecutor(app.loop, app.executor, "ecco", "text"), std::invalid_argument) << "there is no ecco";
}

TEST(RunInExecutor, MissesNoCallThatEndsWhileTheCoroutineIsBeingSuspended) {
  // co_await, with something in its midst that takes a while.
  struct SlowAwait {
    RunInExecutor& call;
    std::function<void()> in_the_midst;
    bool await_ready() {
      const bool ready = call.await_ready();
      in_the_midst();
      return ready;
    }
    auto await_suspend(std::coroutine_handle<> coroutine) { return call.await_suspend(coroutine); }
    std::string await_resume() { return call.await_resume(); }
  };
  auto coroutine = [](Application& app, std::function<void()> end_the_call, std::string& answer) -> Task {
    RunInExecutor call(app.loop, app.executor, "wait", "text");
    SlowAwait slow{call, end_the_call};
    answer = co_await slow;
  };
  Rendezvous go(2, "the worker begins the call");
  Application app({{"wait", [&](auto& text) { return go.arrive_and_wait(), text; }}, {"echo", echo}});
  std::string answer;
  auto end_the_call = [&] { go.arrive_and_wait(), wait_until_over(app.executor); };
  run(app, coroutine(app, end_the_call, answer));
  EXPECT_EQ(answer, "text") << "of a call that ended between await_ready() and await_suspend()";
}

TEST(RunInExecutor, KeepsAResultUntilItIsAwaited) {
  auto coroutine = [](Application& app, std::string& answer) -> Task {
    RunInExecutor first(app.loop, app.executor, "echo", "first"), second(app.loop, app.executor, "echo", "second ");
    answer = co_await second;  // there is one worker, so the first is over before the second
    answer += co_await first;
  };
  Application app({{"echo", echo}});
  std::string answer;
  run(app, coroutine(app, answer));
  EXPECT_EQ(answer, "second first") << "two results, one of them awaited when the call was over";
}

TEST(RunInExecutor, ThrowsWhatHasBecomeOfAFailedCall) {
  Application app({{"echo", echo},
                   {"throw", [](auto& message) -> std::string { throw std::runtime_error(message); }},
                   {"die", [](auto&) -> std::string { return ::raise(SIGKILL), "alive"; }}});
  EXPECT_EQ(answer_to(app, "throw", "disk full"), under_tsan ? "TaskError" : "TaskError: disk full")
      << "the function threw std::runtime_error(\"disk full\")";
  EXPECT_EQ(answer_to(app, "die", ""), under_tsan ? "BrokenWorker" : "BrokenWorker, status 9")
      << "the worker was killed in the function";
  EXPECT_EQ(answer_to(app, "echo", "text"), "text") << "the call after that";
}

TEST(RunInExecutor, ResumesNobodyWhenTheCoroutineIsGone) {
  Rendezvous go(2, "a callback runs on the loop while the call is under way");
  Application app({{"wait", [&](auto& text) { return go.arrive_and_wait(), text; }}, {"echo", echo}});
  std::string answer = "no answer";
  std::optional<Task> task = request(app.loop, app.executor, "wait", "text", answer);
  task->start();
  app.loop.post([&] {
    go.arrive_and_wait();
    wait_until_over(app.executor);  // the outcome is on its way to the loop
    task.reset();
  });
  app.loop.run();
  EXPECT_EQ(answer, "no answer") << "the answer to a request that was cancelled";
}

TEST(RunInExecutor, LeavesTheLoopAloneWhenTheCoroutineIsGone) {
  Rendezvous go(2, "run() returns while a call is under way that nobody awaits any more", FailureKind::wrong_answer);
  ForkServer server({{"wait", [&](auto& text) { return go.arrive_and_wait(), text; }}, {"echo", echo}});
  ProcessExecutor executor(server, 1);
  auto loop = std::make_unique<EventLoop>();
  std::string answer;
  std::optional<Task> task = request(*loop, executor, "wait", "text", answer);
  task->start();
  // Submitted now and not in the end: it would be an occasion for the executor to learn what this thread has done.
  std::latch over(1);
  executor.submit("echo", "", [&](const Outcome&) { over.count_down(); });
  loop->post([&] { task.reset(); });
  loop->run();
  loop.reset();
  go.arrive_and_wait();
  over.wait();
}
