#pragma once

#include <sys/types.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "grader/process.hpp"
#include "grader/process_tree.hpp"
#include "grader/stacks.hpp"

namespace interleave {

/// What the supervisor is asked to do: run one test program once, in a tree that it owns.
struct RunRequest {
  std::string program;                 // absolute path
  std::vector<std::string> arguments;  // for the program
  int test_time_limit = 20;            // seconds without a word from the program; a watchdog against hangs
  bool background_thread = false;      // ThreadSanitizer's, one per process, which sleeps and wakes for ever
  bool confined = false;               // in a Confinement, by somebody nobody trusts
  bool limit_address_space = true;     // false under sanitizers, whose shadow memory is virtual terabytes
  std::uint64_t memory_limit = std::uint64_t{1} << 30;   // bytes of anonymous memory, all processes together
  std::uint64_t disk_limit = std::uint64_t{384} << 20;   // bytes of files, where it is confined
  int process_limit = 512;                               // processes and threads alive at the same time
  std::uint64_t output_limit = std::uint64_t{16} << 20;  // bytes printed
  std::map<std::string, std::string> environment;        // of the program, on top of the supervisor's
};

/// A thread that stood still when a run was stopped.
struct StoppedThread {
  pid_t process = 0;
  pid_t thread = 0;
  std::string process_name;
  bool is_test_process = false;
  std::string waits_for;
  std::vector<Frame> stack;
};

/// What the supervisor saw. Plain data, carried as JSON from the supervisor's process.
struct RunOutcome {
  enum class End { finished, deadlock, time_limit, limit_exceeded, supervisor_killed };
  End end = End::finished;
  Ending ending;                         // of the test program; after a kill, by SIGKILL
  std::string limit;                     // which one, in words, when a limit was exceeded
  std::vector<nlohmann::json> events;    // the records of the results channel
  std::vector<StoppedThread> threads;    // at a deadlock or a time limit
  std::vector<std::string> left_behind;  // processes that lived when the program had ended, in words
  std::string output;                    // what was printed; the middle is cut out of a long one
  std::uint64_t output_size = 0;         // bytes, before the cut
  std::vector<std::string> reports;      // of the sanitizers, raw
  double seconds = 0;
};

NLOHMANN_JSON_SERIALIZE_ENUM(RunOutcome::End, {{RunOutcome::End::finished, "finished"},
                                               {RunOutcome::End::deadlock, "deadlock"},
                                               {RunOutcome::End::time_limit, "time limit"},
                                               {RunOutcome::End::limit_exceeded, "limit exceeded"},
                                               {RunOutcome::End::supervisor_killed, "supervisor killed"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RunRequest, program, arguments, test_time_limit, background_thread,
                                                confined, limit_address_space, memory_limit, disk_limit, process_limit, output_limit,
                                                environment)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Frame, function, file, line)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Ending, exited, status)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(StoppedThread, process, thread, process_name, is_test_process,
                                                waits_for, stack)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RunOutcome, end, ending, limit, events, threads, left_behind, output,
                                                output_size, reports, seconds)

}  // namespace interleave
