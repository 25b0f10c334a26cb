#include "exercise/session.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "exercise/results_channel.hpp"

namespace interleave::session {

namespace {

// Longer texts help nobody, and the channel has room for many tests.
constexpr std::size_t longest_message = 16 * 1024;
constexpr int exit_status_of_reported_failure = 86;

struct State {
  std::optional<ResultsChannel> channel;
  pid_t test_process = 0;
  pid_t test_thread = 0;
  std::string test;
};

State& state() {
  static State* it = new State;  // never destroyed: children and detached threads may report at any time
  return *it;
}

void send(const nlohmann::json& record) {
  if (!state().channel) return;
  state().channel->append(record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

void (*end_schedule)(const std::string& message, const char* file, int line) = nullptr;
bool silent = false;

void begin() {
  state().test_process = ::getpid();
  state().test_thread = ::gettid();
  if (const char* number = std::getenv(ResultsChannel::environment_variable)) {
    state().channel.emplace(ResultsChannel::attach(std::atoi(number)));
    ::unsetenv(ResultsChannel::environment_variable);
  }
}

bool supervised() { return state().channel.has_value(); }
bool in_test_process() { return ::getpid() == state().test_process; }
bool in_test_thread() { return in_test_process() && ::gettid() == state().test_thread; }
std::string current_test() { return state().test; }

void send_plan(const std::string& tests_json) {
  if (supervised()) send({{"event", "plan"}, {"tests", nlohmann::json::parse(tests_json)}});
}

void send_test_started(std::string_view test) {
  state().test = test;
  send({{"event", "test started"}, {"test", test}});
}

void send_test_ended(std::string_view test, bool passed) {
  send({{"event", "test ended"}, {"test", test}, {"passed", passed}});
  state().test.clear();
}

void send_program_ended() { send({{"event", "program ended"}}); }

void send_skipped(std::string_view file, int line, std::string_view reason) {
  send({{"event", "skipped"},
        {"test", state().test},
        {"file", file},
        {"line", line},
        {"reason", reason.substr(0, longest_message)}});
}

void send_failure(FailureKind kind, std::string_view file, int line, std::string_view message) {
  send({{"event", "failure"},
        {"test", state().test},
        {"kind", name_of(kind)},
        {"file", file},
        {"line", line},
        {"message", message.substr(0, longest_message)}});
}

void send_awaiting(FailureKind kind, std::string_view message) {
  send({{"event", "awaiting"}, {"kind", name_of(kind)}, {"message", message}, {"pid", ::getpid()}});
}

void send_raw(std::string_view record) {
  if (state().channel) state().channel->append(record);
}

void send_reached() { send({{"event", "reached"}, {"pid", ::getpid()}}); }

void fail_and_exit(FailureKind kind, std::string_view file, int line, const std::string& message) {
  if (end_schedule != nullptr) {
    std::ostringstream marked;
    marked << kind << message;
    end_schedule(marked.str(), std::string(file).c_str(), line);
  }
  send_failure(kind, file, line, message);
  if (!supervised()) {
    std::fprintf(stderr, "%.*s:%d: %s\n", static_cast<int>(file.size()), file.data(), line, message.c_str());
  }
  ::_exit(exit_status_of_reported_failure);
}

}  // namespace interleave::session
