// Sleeps for a moment before it makes the call, so that whatever went on before is over, and has begun to count
// already: the nap is a voluntary switch too, and it is not the call's.
// caught: plain, CountSwitches.CountsNothingOfItsOwn, wrong answer

#pragma once

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

struct Switches {
  long voluntary;    // they had to wait for something
  long involuntary;  // they could have gone on
};

inline Switches operator-(Switches left, Switches right) {
  return {left.voluntary - right.voluntary, left.involuntary - right.involuntary};
}

inline Switches switches_of_the_process() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {usage.ru_nvcsw, usage.ru_nivcsw};
}

inline std::optional<Switches> switches_of(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  std::optional<long> voluntary, involuntary;
  std::string label;
  long count;
  while (status >> label) {
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

inline Switches count_switches(const std::function<void()>& call) {
  std::map<pid_t, Switches> others = switches_of_the_other_threads();
  Switches before = switches_of_the_process();
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  call();
  Switches counted = switches_of_the_process() - before;
  for (const auto& [thread, then] : others) {
    if (auto now = switches_of(thread)) counted = counted - (*now - then);
  }
  return counted;
}
