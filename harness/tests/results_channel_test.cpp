#include "exercise/results_channel.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace interleave {
namespace {

TEST(ResultsChannel, CarriesRecordsFromThreadsAndFromChildProcesses) {
  ResultsChannel channel = ResultsChannel::create();
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 100; ++i) channel.append("child " + std::to_string(i));
    _exit(0);
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&channel, t] {
      for (int i = 0; i < 100; ++i) channel.append(std::to_string(t) + " " + std::to_string(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  waitpid(child, nullptr, 0);
  std::set<std::string> seen;
  channel.read([&](std::string_view record) { seen.emplace(record); });
  EXPECT_EQ(seen.size(), 500u);
}

TEST(ResultsChannel, GoesOnFromWhereItStopped) {
  ResultsChannel channel = ResultsChannel::create();
  channel.append("one");
  std::string text;
  auto add = [&](std::string_view record) { text += record; };
  channel.read(add);
  channel.append("two");
  channel.read(add);
  EXPECT_EQ(text, "onetwo");
}

TEST(ResultsChannel, LosesNothingOfTheOthersWhenAWriterIsKilled) {
  for (int round = 0; round < 200; ++round) {
    ResultsChannel channel = ResultsChannel::create();
    channel.append("before");
    pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < 10'000; ++i) channel.append("from a child that is killed");
      _exit(0);
    }
    bool child_writes = false;
    while (!child_writes) channel.read([&](std::string_view record) { child_writes |= record != "before"; });
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    channel.append("after");
    std::string last;
    channel.read([&](std::string_view record) { last = record; });
    ASSERT_EQ(last, "after") << "in round " << round;
  }
}

TEST(ResultsChannel, DropsWhatDoesNotFitAndKeepsTheRest) {
  ResultsChannel channel = ResultsChannel::create();
  channel.append("small");
  std::string large(1 << 20, 'x');
  for (int i = 0; i < 5; ++i) channel.append(large);
  int records = 0;
  channel.read([&](std::string_view) { ++records; });
  EXPECT_EQ(records, 4);
}

}  // namespace
}  // namespace interleave
