#pragma once

#include <string>
#include <string_view>

#include "exercise/failure_kind.hpp"

// What the parts of the test support know of the running test program. Tests do not include this.
namespace interleave::session {

/// Connects to the supervisor when there is one. Called once, before main does anything else.
void begin();

/// Whether a supervisor started this program (and so owns its process tree, its scratch directory and its IPC names).
bool supervised();

/// Whether this is the process that runs the tests, not a child of it.
bool in_test_process();

/// Whether this is the thread that runs the tests, in the process that does.
bool in_test_thread();

/// Records for the supervisor; no-ops without one. Safe from any thread and from a forked child.
void send_plan(const std::string& tests_json);
void send_test_started(std::string_view test);
void send_test_ended(std::string_view test, bool passed);
void send_program_ended();
/// The running test does without what this machine lacks; `file` and `line` are where it says so.
void send_skipped(std::string_view file, int line, std::string_view reason);
void send_failure(FailureKind kind, std::string_view file, int line, std::string_view message);
/// From now on, should nothing in the tree be able to run any more, this is what the test was waiting for.
void send_awaiting(FailureKind kind, std::string_view message);
void send_reached();

/// A record that is JSON already. Async-signal-safe.
void send_raw(std::string_view record);

/// The test that runs, as "Suite.Name"; empty between tests.
std::string current_test();

/// Set while a schedule is explored: ends it as failed, with a message that may begin with the mark of a FailureKind.
/// Returns when the calling thread is not one of the schedule.
extern void (*end_schedule)(const std::string& message, const char* file, int line);

/// Set while a failure is told to GoogleTest that the supervisor has heard of.
extern bool silent;

/// Reports a failure of the current test from a place that cannot return into it, and ends this process.
[[noreturn]] void fail_and_exit(FailureKind kind, std::string_view file, int line, const std::string& message);

}  // namespace interleave::session
