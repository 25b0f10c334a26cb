#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace interleave {

/// One thread of a process tree at one moment, as proc(5) shows it.
struct ThreadState {
  pid_t process = 0;
  pid_t thread = 0;
  char state = '?';               // as in /proc/<pid>/stat: R running, S sleeping, D, T stopped, Z zombie, X dead
  long system_call = -1;          // number of the call it sleeps in, or -1
  std::uint64_t switches = 0;     // context switches so far
  std::uint64_t run_time = 0;     // nanoseconds on a CPU so far, up to the last tick
  bool sleeps = false;            // in a plain sleep, with a time limit
  bool in_vfork = false;          // until its child execs or ends; cannot be stopped meanwhile
  bool blocked_for_good = false;  // only another member of the tree can wake it: no time limit, no outside event
  std::string waits_for;          // in words, as "wait4 (a child to end)"

  bool operator==(const ThreadState&) const = default;
};

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';
  std::string name;
  std::uint64_t anonymous_memory = 0;  // bytes resident
};

/// All descendants of `root`, without root itself, zombies included. Reads /proc; misses nothing that lives through the
/// call, since an orphan moves to the nearest sub-reaper, which is `root`.
std::vector<ProcessInfo> descendants_of(pid_t root);

/// Every thread of `processes`. `output_inode` names the pipe that the caller drains: a write to it blocks nobody for
/// good.
std::vector<ThreadState> threads_of(const std::vector<ProcessInfo>& processes, std::uint64_t output_inode);

/// Ends every descendant of this process and waits for each, however fast they multiply: first all are stopped, again
/// and again until there are no new ones, then killed.
void end_all_descendants();

}  // namespace interleave
