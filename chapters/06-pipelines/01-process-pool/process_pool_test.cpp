#include "exercise/test.hpp"

#include <process_pool.hpp>

using interleave::FailingFork;
using interleave::FailureKind;
using interleave::in_parent;
using interleave::Onlooker;
using interleave::Rendezvous;
using interleave::Shared;

namespace {

#if __has_feature(thread_sanitizer)
constexpr bool under_tsan = true;
#else
constexpr bool under_tsan = false;
#endif

constexpr std::size_t large = std::size_t{6} << 20;  // of a socket's buffer it is more than the tenfold

std::string echo(const std::string& argument) { return argument; }
std::string pid(const std::string&) { return std::to_string(::getpid()); }
std::string parent_pid(const std::string&) { return std::to_string(::getppid()); }
std::string die(const std::string&) { return ::raise(SIGKILL), "alive"; }

// What a future gets, in words. What is in an exception is freed by one of two threads, and ThreadSanitizer does not
// see how they settle which, so there it is by type alone.
std::string outcome(std::future<std::string> future) {
  try {
    return future.get();
  } catch (const BrokenWorker& error) {
    return under_tsan ? "BrokenWorker" : "BrokenWorker, status " + std::to_string(error.status);
  } catch (const TaskError& error) {
    return under_tsan ? "TaskError" : std::string("TaskError: ") + error.what();
  } catch (const std::system_error& error) {
    return under_tsan ? "std::system_error" : "std::system_error " + std::to_string(error.code().value());
  } catch (const std::future_error&) {
    return "std::future_error: the promise was dropped";
  }
}
std::string broken(int status) {
  return under_tsan ? "BrokenWorker" : "BrokenWorker, status " + std::to_string(status);
}
std::string threw(const std::string& what) { return under_tsan ? "TaskError" : "TaskError: " + what; }
std::string cannot_fork() { return under_tsan ? "std::system_error" : "std::system_error " + std::to_string(EAGAIN); }

// A server that can start so many workers and no more.
std::unique_ptr<ForkServer> server_of(int workers, const Functions& functions) {
  FailingFork no_more(1 + workers);  // in the server's memory for ever, in ours to the end of this function
  return std::make_unique<ForkServer>(functions);
}

// The states of a process's threads, as proc(5) has them; empty if it is gone.
std::string states_of(pid_t process) {
  std::string states;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(process) + "/task", error), end;
       !error && it != end; it.increment(error)) {
    std::ifstream file(it->path() / "stat");
    std::string line;
    std::getline(file, line);
    if (auto close = line.rfind(')'); close != std::string::npos) states += line[close + 2];
  }
  return states;
}

void stop(pid_t process) {
  ::kill(process, SIGSTOP);
  while (states_of(process).find_first_not_of('T') != std::string::npos) ::sched_yield();
}

pid_t worker_of(ProcessPool& pool) { return std::stoi(pool.submit("pid", "").get()); }

}  // namespace

TEST(ProcessPool, RefusesLessThanOneWorker) {
  ForkServer server;
  EXPECT_THROW(in_parent([&] { ProcessPool(server, 0); }), std::invalid_argument) << "0 workers";
  EXPECT_THROW(in_parent([&] { ProcessPool(server, -1); }), std::invalid_argument) << "-1 workers";
}

TEST(ProcessPool, GivesTheResultOfTheFunction) {
  ForkServer server({{"echo", echo}, {"size", [](auto& argument) { return std::to_string(argument.size()); }}});
  ProcessPool pool(server, 1);
  for (const std::string& bytes : {std::string("text"), std::string(), std::string("a\0b\n", 4)}) {
    EXPECT_EQ(outcome(pool.submit("echo", bytes)), bytes) << "the function returns its argument";
  }
  EXPECT_EQ(outcome(pool.submit("size", "four")), "4") << "another function";
}

TEST(ProcessPool, CarriesMoreThanASocketHolds) {
  std::string argument(large, '\0');
  for (std::size_t i = 0; i < large; ++i) argument[i] = static_cast<char>(i % 251);
  Rendezvous queued(2, "submit() returns while the worker is busy");
  ForkServer server({{"wait", [&](auto& text) { return queued.arrive_and_wait(), text; }}, {"echo", echo}});
  ProcessPool pool(server, 1);
  std::vector<std::future<std::string>> futures;
  for (const char* function : {"wait", "echo", "echo"}) futures.push_back(pool.submit(function, argument));
  queued.arrive_and_wait();
  for (auto& future : futures) {
    EXPECT_TRUE(outcome(std::move(future)) == argument) << "6 MiB there and 6 MiB back, three times";
  }
}

TEST(ProcessPool, TakesItsWorkersFromTheForkServer) {
  ForkServer server({{"parent_pid", parent_pid}});
  ProcessPool pool(server, 1);
  EXPECT_EQ(outcome(pool.submit("parent_pid", "")), std::to_string(server.pid()))
      << FailureKind::forbidden_shortcut << "the parent of the process that runs a task: the server";
}

TEST(ProcessPool, RefusesAFunctionThatTheServerDoesNotHave) {
  ForkServer server({{"echo", echo}});
  ProcessPool pool(server, 1);
  EXPECT_THROW(in_parent([&] { pool.submit("ecco", "text"); }), std::invalid_argument) << "there is no function ecco";
  EXPECT_EQ(outcome(pool.submit("echo", "text")), "text") << "the task after that";
}

TEST(ProcessPool, BringsBackWhatTheFunctionThrows) {
  ForkServer server({{"echo", echo},
                     {"throw", [](auto& message) -> std::string { throw std::runtime_error(message); }},
                     {"throw_int", [](auto&) -> std::string { throw 42; }}});
  ProcessPool pool(server, 1);
  for (const std::string& message : {std::string("disk full"), std::string(), std::string(100'000, 'x')}) {
    EXPECT_EQ(outcome(pool.submit("throw", message)), threw(message)) << "the function threw std::runtime_error";
  }
  EXPECT_EQ(outcome(pool.submit("throw_int", "")), threw("unknown exception")) << "the function threw an int";
  EXPECT_EQ(outcome(pool.submit("echo", "text")), "text") << "the task after that";
  EXPECT_EQ(server.count().started, 1) << "workers that were started: no exception ends one";
}

TEST(ProcessPool, RunsATaskOnEachWorkerAtTheSameTime) {
  Rendezvous all_inside(4, "4 workers in the function at the same time");
  ForkServer server({{"meet", [&](auto& text) { return all_inside.arrive_and_wait(), text; }}});
  ProcessPool pool(server, 4);
  std::vector<std::future<std::string>> futures;
  for (int i = 0; i < 4; ++i) futures.push_back(pool.submit("meet", ""));
  for (auto& future : futures) EXPECT_EQ(outcome(std::move(future)), "");
}

TEST(ProcessPool, LetsNoTaskWaitForABusyWorker) {
  Rendezvous both(2, "the third task runs, in the worker that is done with the second, beside the first");
  ForkServer server({{"meet", [&](auto& text) { return both.arrive_and_wait(), text; }}, {"echo", echo}});
  ProcessPool pool(server, 2);
  auto first = pool.submit("meet", "");
  auto second = pool.submit("echo", "");
  auto third = pool.submit("meet", "");
  EXPECT_EQ(outcome(std::move(first)) + outcome(std::move(second)) + outcome(std::move(third)), "");
}

TEST(ProcessPool, GivesEachFutureItsOwnResult) {
  Rendezvous go(2, "the second task's future ready while the first task still runs", FailureKind::wrong_answer);
  ForkServer server({{"wait", [&](auto& text) { return go.arrive_and_wait(), text; }}, {"echo", echo}});
  ProcessPool pool(server, 2);
  auto first = pool.submit("wait", "first");
  EXPECT_EQ(outcome(pool.submit("echo", "second")), "second");
  go.arrive_and_wait();
  EXPECT_EQ(outcome(std::move(first)), "first");
}

TEST(ProcessPool, TakesTasksFromManyThreads) {
  ForkServer server({{"echo", echo}});
  ProcessPool pool(server, 2);
  std::latch start(2);
  std::array<std::future<std::string>, 2> futures;
  {
    auto submit = [&](std::size_t i) {
      start.arrive_and_wait();
      futures[i] = pool.submit("echo", std::to_string(i));
    };
    std::jthread one(submit, 0), other(submit, 1);
  }
  EXPECT_EQ(outcome(std::move(futures[0])), "0");
  EXPECT_EQ(outcome(std::move(futures[1])), "1");
}

TEST(ProcessPool, BreaksTheTaskOfAWorkerThatEnds) {
  Shared<std::atomic<int>> calls;
  ForkServer server({{"echo", echo}, {"end", [&](auto& status) {
                                        if (++*calls >= 3) return std::string("this is the third call");
                                        status.empty() ? die("") : (::_exit(std::stoi(status)), "");
                                        return std::string("not reached");
                                      }}});
  for (auto [argument, status] : {std::pair{"", SIGKILL}, {"0", 0}, {"3", 3 << 8}}) {
    *calls = 0;
    ProcessPool pool(server, 2);
    EXPECT_EQ(outcome(pool.submit("end", argument)), broken(status)) << "the worker ended in the function";
    EXPECT_EQ(*calls, 1) << "calls of the function: a task is not run again, whatever it has done so far";
    EXPECT_EQ(outcome(pool.submit("echo", "text")), "text") << "the task after that, in another worker";
  }
}

TEST(ProcessPool, HasAllItsWorkersAgainAfterOneDied) {
  Rendezvous both(2, "2 workers in the function at the same time, after one of 2 had died", FailureKind::wrong_answer);
  ForkServer server({{"meet", [&](auto& text) { return both.arrive_and_wait(), parent_pid(text); }}, {"die", die}});
  ProcessPool pool(server, 2);
  EXPECT_EQ(outcome(pool.submit("die", "")), broken(SIGKILL));
  auto first = pool.submit("meet", ""), second = pool.submit("meet", "");
  for (auto* future : {&first, &second}) {
    EXPECT_EQ(outcome(std::move(*future)), std::to_string(server.pid()))
        << FailureKind::forbidden_shortcut << "the parent of the process that runs a task, after one of 2 had died";
  }
}

TEST(ProcessPool, BreaksNoOtherTask) {
  Rendezvous inside(2, "2 workers in the function at the same time");
  Rendezvous go(2, "a task that goes on when another worker has died", FailureKind::wrong_answer);
  ForkServer server({{"wait", [&](auto& text) { return inside.arrive_and_wait(), go.arrive_and_wait(), text; }},
                     {"die", [&](auto& text) { return inside.arrive_and_wait(), die(text); }},
                     {"echo", echo}});
  ProcessPool pool(server, 2);
  auto running = pool.submit("wait", "running");
  auto dying = pool.submit("die", "");
  auto queued = pool.submit("echo", "queued");
  EXPECT_EQ(outcome(std::move(dying)), broken(SIGKILL));
  EXPECT_EQ(outcome(std::move(queued)), "queued") << "a task that waited when a worker died";
  go.arrive_and_wait();
  EXPECT_EQ(outcome(std::move(running)), "running") << "a task that was running when another worker died";
}

TEST(ProcessPool, GivesNoTaskToAWorkerThatHasEnded) {
  ForkServer server({{"pid", pid}, {"echo", echo}});
  ProcessPool pool(server, 1);
  ::kill(worker_of(pool), SIGKILL);
  while (server.count().ended < 1) ::sched_yield();
  EXPECT_EQ(outcome(pool.submit("echo", "text")), "text") << "the worker had ended before the task was submitted";
}

TEST(ProcessPool, SurvivesAWorkerThatEndsWhileItReceivesTheArgument) {
  ForkServer server({{"pid", pid}, {"echo", echo}});
  ProcessPool pool(server, 1);
  const pid_t worker = worker_of(pool);
  stop(worker);
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();  // so it has sent what fits into the socket
    ::kill(worker, SIGKILL);
  });
  EXPECT_EQ(outcome(in_parent([&] { return pool.submit("echo", std::string(large, 'x')); })), broken(SIGKILL));
  onlooker.call_is_over();
  EXPECT_EQ(outcome(pool.submit("echo", "text")), "text") << "the task after that";
}

TEST(ProcessPool, TakesNoPartOfAResultForTheWhole) {
  {
    ForkServer server;
    ProcessPool pool(server, 1);
  }  // so that a pool that is not written is found here

  // The pool lives in a process of its own. That is stopped while the worker sends the result, until the worker is
  // full of it and asleep, and has been killed.
  struct Story {
    std::atomic<pid_t> worker;
    std::atomic<bool> got_all, was_broken;
  };
  Shared<Story> story;
  const pid_t application = ::fork();
  ASSERT_GE(application, 0);
  if (application == 0) {
    {
      ForkServer server({{"stop", [&, application = ::getpid()](auto&) {
                            std::string result(large, 'x');
                            stop(application);
                            story->worker = ::getpid();
                            return result;
                          }}});
      ProcessPool pool(server, 1);
      std::string result = outcome(pool.submit("stop", ""));
      story->got_all = result == std::string(large, 'x');
      story->was_broken = result == broken(SIGKILL);
    }
    ::_exit(0);
  }
  while (story->worker == 0 && states_of(application).find_first_not_of('Z') != std::string::npos) ::sched_yield();
  ASSERT_NE(story->worker, 0) << "the process with the pool ended before the pool's worker was in the function";
  while (states_of(story->worker).find_first_not_of("SZ") != std::string::npos) ::sched_yield();
  ::kill(story->worker, SIGKILL);
  while (!states_of(story->worker).empty()) ::sched_yield();
  ::kill(application, SIGCONT);
  EXPECT_EQ(::waitpid(application, nullptr, 0), application);
  EXPECT_TRUE(story->got_all || story->was_broken)
      << "the worker was killed while it sent a result of 6 MiB; the future must get a BrokenWorker, and nothing else";
}

TEST(ProcessPool, GoesOnWithTheWorkersThatAreLeft) {
  auto server = server_of(2, {{"echo", echo}, {"die", die}});
  ProcessPool pool(*server, 2);
  EXPECT_EQ(outcome(pool.submit("die", "")), broken(SIGKILL)) << "the first worker";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(outcome(pool.submit("echo", "text")), "text") << "no third one, one is left";
  EXPECT_EQ(outcome(pool.submit("die", "")), broken(SIGKILL)) << "the second worker";
  auto first = pool.submit("echo", "text"), second = pool.submit("echo", "text");
  EXPECT_EQ(outcome(std::move(first)), cannot_fork()) << "no worker is left, and fork(2) fails with EAGAIN";
  EXPECT_EQ(outcome(std::move(second)), cannot_fork()) << "no worker is left, and fork(2) fails with EAGAIN";
  EXPECT_EQ(outcome(pool.submit("echo", "text")), cannot_fork()) << "a task that comes later";
}

TEST(ProcessPool, IsGoneWhenTheLastWorkerHasEnded) {
  ForkServer server({{"pid", pid}});
  auto pool = std::make_unique<ProcessPool>(server, 1);
  const pid_t worker = worker_of(*pool);
  stop(worker);  // it cannot end by itself
  std::atomic<bool> returned = false;
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();
    if (!returned) ::kill(worker, SIGCONT);
  });
  in_parent([&] { pool.reset(); });
  returned = true;
  ForkServer::Count count = server.count();
  EXPECT_EQ(count.started - count.ended, 0) << FailureKind::leak << "workers that are left when the pool is gone";
  onlooker.call_is_over();
}

TEST(ProcessPool, SaysSoWhenAWorkerCannotBeStarted) {
  auto server = server_of(2, {});
  try {
    in_parent([&] { ProcessPool(*server, 3); });
    ADD_FAILURE() << "the third fork() of the server failed, so the constructor must throw std::system_error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the error of ForkServer::spawn()";
  }
  EXPECT_EQ(server->count().ended, 2) << "workers that have ended, of the two that were started";
}

TEST(ProcessPool, SleepsWhileThereIsNothingToDo) {
  ForkServer server({{"echo", echo}});
  ProcessPool pool(server, 2);
  EXPECT_EQ(outcome(pool.submit("echo", "text")), "text");
  std::latch seen(1);
  Onlooker onlooker([&](Onlooker& it) {
    Onlooker::Sight sight = it.wait_until_asleep();
    if (sight.what == Onlooker::busy) it.fail(FailureKind::wrong_answer, "the pool has nothing to do and uses the CPU");
    if (sight.time_limit && !interleave::under_sanitizer) {  // ThreadSanitizer has a thread of its own that does that
      it.fail(FailureKind::wrong_answer, "the pool sleeps for a time, to look again; it must sleep until it is woken");
    }
    seen.count_down();
  });
  seen.wait();
  onlooker.call_is_over();
}

TEST(ProcessPool, FinishesEveryTaskBeforeItIsGone) {
  Rendezvous inside(2, "a task runs"), go(2, "the task that ran when the pool was destroyed is over");
  ForkServer server(
      {{"wait", [&](auto& text) { return inside.arrive_and_wait(), go.arrive_and_wait(), text; }}, {"echo", echo}});
  auto pool = std::make_unique<ProcessPool>(server, 1);
  std::vector<std::future<std::string>> futures;
  for (int i = 0; i < 4; ++i) futures.push_back(pool->submit(i == 0 ? "wait" : "echo", std::to_string(i)));
  inside.arrive_and_wait();
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();  // so the destructor waits
    go.arrive_and_wait();
  });
  in_parent([&] { pool.reset(); });
  onlooker.call_is_over();
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(futures[i].wait_for(std::chrono::seconds(0)), std::future_status::ready) << "task " << i;
    EXPECT_EQ(outcome(std::move(futures[i])), std::to_string(i)) << "submitted before the pool was destroyed";
  }
}
