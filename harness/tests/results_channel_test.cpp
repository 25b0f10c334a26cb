#include "exercise/results_channel.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
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
  EXPECT_TRUE(channel.read([&](std::string_view record) { seen.emplace(record); }));
  EXPECT_EQ(seen.size(), 500u);
}

TEST(ResultsChannel, KnowsWhatManyWriteAtOnceForGenuine) {
  for (int round = 0; round < 200; ++round) {
    ResultsChannel channel = ResultsChannel::create();
    std::atomic<bool> go = false;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        while (!go) continue;
        for (int i = 0; i < 100; ++i) channel.append("one of many");
      });
    }
    go = true;
    for (std::thread& thread : threads) thread.join();
    int records = 0;
    ASSERT_TRUE(channel.read([&](std::string_view) { ++records; })) << "in round " << round;
    EXPECT_EQ(records, 400);
  }
}

TEST(ResultsChannel, GoesOnFromWhereItStopped) {
  ResultsChannel channel = ResultsChannel::create();
  channel.append("one");
  std::string text;
  auto add = [&](std::string_view record) { text += record; };
  EXPECT_TRUE(channel.read(add));
  channel.append("two");
  EXPECT_TRUE(channel.read(add));
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
    while (!child_writes) {
      EXPECT_TRUE(channel.read([&](std::string_view record) { child_writes |= record != "before"; }));
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    channel.append("after");
    std::string last;
    EXPECT_TRUE(channel.read([&](std::string_view record) { last = record; }));
    ASSERT_EQ(last, "after") << "in round " << round;
  }
}

TEST(ResultsChannel, PassesOverWhatWasNotWrittenByWhoAttached) {
  ResultsChannel channel = ResultsChannel::create();
  int copy = dup(channel.descriptor());
  auto* memory = static_cast<char*>(mmap(nullptr, ResultsChannel::capacity, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0));
  ResultsChannel program = ResultsChannel::attach(copy);
  program.append("not equal");
  std::string all(memory, 4096);
  std::size_t at = all.find("not equal");
  ASSERT_NE(at, std::string::npos);
  std::memcpy(memory + at, "all equal", 9);
  std::string seen;
  EXPECT_FALSE(channel.read([&](std::string_view record) { seen = record; }));
  EXPECT_EQ(seen, "");
  program.append("genuine");
  EXPECT_TRUE(channel.read([&](std::string_view record) { seen = record; }));
  EXPECT_EQ(seen, "genuine");
  munmap(memory, ResultsChannel::capacity);
}

TEST(ResultsChannel, DropsWhatDoesNotFitAndKeepsTheRest) {
  ResultsChannel channel = ResultsChannel::create();
  channel.append("small");
  std::string large(1 << 20, 'x');
  for (int i = 0; i < 5; ++i) channel.append(large);
  int records = 0;
  EXPECT_TRUE(channel.read([&](std::string_view) { ++records; }));
  EXPECT_EQ(records, 4);
}

}  // namespace
}  // namespace interleave
