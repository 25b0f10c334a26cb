#pragma once

// 3.1 count-switches: how often a call gave up its CPU, and how often it was taken away.
//
// What Python's `resource.getrusage(resource.RUSAGE_THREAD)` tells as `ru_nvcsw` and `ru_nivcsw`, for one call.

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

/// Context switches: how often threads left their CPU to another one.
struct Switches {
  long voluntary;    // they had to wait for something
  long involuntary;  // they could have gone on
};

inline Switches operator-(Switches left, Switches right) {
  return {left.voluntary - right.voluntary, left.involuntary - right.involuntary};
}

// Of all the threads that this process has, and of all that it has had.
inline Switches switches_of_the_process() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {usage.ru_nvcsw, usage.ru_nivcsw};
}

// Of one thread; nothing if it has ended.
inline std::optional<Switches> switches_of(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  std::optional<long> voluntary, involuntary;
  std::string label;
  long count;
  while (status >> label) {
    // The whole label: the one is the end of the other.
    if (label == "voluntary_ctxt_switches:" && status >> count) voluntary = count;
    if (label == "nonvoluntary_ctxt_switches:" && status >> count) involuntary = count;
  }
  if (!voluntary || !involuntary) return std::nullopt;
  return Switches{*voluntary, *involuntary};
}

inline std::map<pid_t, Switches> switches_of_the_other_threads() {
  std::map<pid_t, Switches> others;
  std::unique_ptr<DIR, int (*)(DIR*)> tasks(::opendir("/proc/self/task"), ::closedir);
  if (!tasks) throw std::system_error(errno, std::generic_category(), "opendir /proc/self/task");
  while (const dirent* entry = ::readdir(tasks.get())) {
    pid_t thread = std::atoi(entry->d_name);
    if (thread == 0 || thread == ::gettid()) continue;  // "." and ".."; the caller
    if (auto switches = switches_of(thread)) others.emplace(thread, *switches);
  }
  return others;
}

/// Runs call() once, in the calling thread, which may be any of the process, and returns its context switches: those of
/// the calling thread, and those of the threads that the call starts, while it runs. Such a thread counts whether it
/// has ended when the call returns or not.
///
/// The switches of the threads that were there before do not count, nor do those that count_switches itself causes: a
/// call that does nothing has no voluntary switch.
///
/// An exception from the call passes through.
///
/// The counters of different threads cannot be read all at one moment. Therefore the threads that were there before
/// sleep when the call begins and when it returns, though not necessarily in between. They neither end meanwhile, nor
/// start others.
inline Switches count_switches(const std::function<void()>& call) {
  // A thread that has ended can no longer be asked, but the process keeps its count. So: all of the process, without
  // those who were there before. The files are read outside of what is counted.
  std::map<pid_t, Switches> others = switches_of_the_other_threads();
  Switches before = switches_of_the_process();
  call();
  Switches counted = switches_of_the_process() - before;
  for (const auto& [thread, then] : others) {
    if (auto now = switches_of(thread)) counted = counted - (*now - then);
  }
  return counted;
}
