// The server of chapter 6 as its users meet it: the page in a browser, wrk, and workers that die under load. The
// program is made from the reference of 6.6.

#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "grader/process.hpp"

namespace interleave {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::Not;

bool is_there(const std::string& program) {
  Command command;
  command.arguments = {"sh", "-c", "command -v " + program};
  return run_and_capture(command).ending.succeeded();
}

class Server : public ::testing::Test {
 protected:
  void SetUp() override {
    Command command;
    command.arguments = {INTERLEAVE_SERVER, "--port", "0"};
    command.output = output_.write_end;
    process_ = std::make_unique<Process>(command);
    output_.close_write();
    FILE* lines = ::fdopen(::dup(output_.read_end), "r");
    char found[64] = "";
    EXPECT_EQ(std::fscanf(lines, "%*[^h]http://%63s", found), 1);
    std::fclose(lines);
    url_ = std::string("http://") + found;
  }

  void TearDown() override {
    process_->signal(SIGTERM);
    Ending ending = process_->wait();
    EXPECT_TRUE(ending.succeeded()) << "SIGTERM ends it with status 0";
  }

  std::string url_;

 private:
  Pipe output_;
  std::unique_ptr<Process> process_;
};

TEST_F(Server, PageDrawsADigitAndShowsTheAnswer) {
  for (const char* program : {"node", "npm", "chromium"}) {
    if (!is_there(program))
      GTEST_SKIP() << "it needs node, npm and chromium (Debian: apt-get install nodejs npm chromium)";
  }
  fs::create_directories(INTERLEAVE_NODE);
  for (const auto& entry : fs::directory_iterator(INTERLEAVE_BROWSER_TESTS))
    fs::copy_file(entry.path(), fs::path(INTERLEAVE_NODE) / entry.path().filename(),
                  fs::copy_options::overwrite_existing);
  Command command;
  command.directory = INTERLEAVE_NODE;
  command.arguments = {"npm", "ci", "--no-audit", "--no-fund"};
  Captured installed = run_and_capture(command);
  ASSERT_TRUE(installed.ending.succeeded()) << installed.text;
  command.arguments = {"node", "--test", "server_page.test.mjs"};
  command.more_environment = {{"URL", url_}};
  Captured tested = run_and_capture(command);
  EXPECT_TRUE(tested.ending.succeeded()) << tested.text;
}

TEST_F(Server, AnswersWrk) {
  if (!is_there("wrk")) GTEST_SKIP() << "it needs wrk (Debian: apt-get install wrk)";
  Command command;
  command.arguments = {"wrk", "-t2", "-c32", "-d1s", "--timeout", "60s", "-s", INTERLEAVE_WRK_SCRIPT, url_ + "predict"};
  Captured captured = run_and_capture(command);
  EXPECT_THAT(captured.text, HasSubstr("Requests/sec"));
  EXPECT_THAT(captured.text, Not(HasSubstr("Non-2xx"))) << "32 connections, and room for 64 predictions";
  EXPECT_THAT(captured.text, Not(HasSubstr("Socket errors")));
}

TEST_F(Server, LosesNoAnswerWhileItsWorkersAreKilled) {
  Command command;
  command.arguments = {INTERLEAVE_LOAD, INTERLEAVE_SERVER, "2", "8"};
  Captured captured = run_and_capture(command);
  EXPECT_TRUE(captured.ending.succeeded()) << captured.text;
}

}  // namespace
}  // namespace interleave
