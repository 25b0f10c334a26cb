// Asks in three ways: the calling thread by RUSAGE_THREAD, the process by RUSAGE_SELF, and the threads that are there
// before the call by files that stay open. What the process has more than all of these belongs to the threads that the
// call started.

#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

struct Switches {
  long voluntary;
  long involuntary;

  Switches& operator+=(const Switches& other) {
    voluntary += other.voluntary;
    involuntary += other.involuntary;
    return *this;
  }
  Switches& operator-=(const Switches& other) {
    voluntary -= other.voluntary;
    involuntary -= other.involuntary;
    return *this;
  }
};

inline Switches usage_of(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  return {usage.ru_nvcsw, usage.ru_nivcsw};
}

class ThreadsOfBefore {
 public:
  ThreadsOfBefore() {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      if (task.path().filename() == std::to_string(::gettid())) continue;
      int file = ::open((task.path() / "status").c_str(), O_RDONLY | O_CLOEXEC);
      if (file >= 0) files_.push_back(file);
    }
  }
  ThreadsOfBefore(const ThreadsOfBefore&) = delete;
  ThreadsOfBefore& operator=(const ThreadsOfBefore&) = delete;
  ~ThreadsOfBefore() {
    for (int file : files_) ::close(file);
  }

  Switches read() const {
    Switches sum{0, 0};
    for (int file : files_) {
      char text[8192];
      ssize_t length = ::pread(file, text, sizeof(text) - 1, 0);
      if (length <= 0) continue;
      text[length] = '\0';
      const char* counts = std::strstr(text, "\nvoluntary_ctxt_switches:");
      if (counts == nullptr) continue;
      Switches one{0, 0};
      std::sscanf(counts, " voluntary_ctxt_switches: %ld nonvoluntary_ctxt_switches: %ld", &one.voluntary,
                  &one.involuntary);
      sum += one;
    }
    return sum;
  }

 private:
  std::vector<int> files_;
};

inline Switches count_switches(const std::function<void()>& call) {
  ThreadsOfBefore others;
  Switches started{0, 0}, own{0, 0};
  started += others.read();
  started -= usage_of(RUSAGE_SELF);
  Switches before = usage_of(RUSAGE_THREAD);
  call();
  Switches after = usage_of(RUSAGE_THREAD);
  started += usage_of(RUSAGE_SELF);
  started -= others.read();
  own += after;
  own -= before;
  started -= own;
  own += started;
  return own;
}
