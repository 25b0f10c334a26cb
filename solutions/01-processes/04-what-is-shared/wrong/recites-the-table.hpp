// Tells a thread from a process by the PID and then recites the table of the book: both ends of the scale come out
// right, and every unit in between comes out as one of the two ends.
// caught: plain, WhatIsShared.FindsEveryPointBetweenAProcessAndAThread, wrong answer

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>

using Launcher = std::function<void(const std::function<void()>&)>;

struct Sharing {
  bool memory = false;
  bool heap = false;
  bool stack = false;
  bool descriptors = false;
  bool working_directory = false;
  bool pid = false;

  bool operator==(const Sharing&) const = default;
};

namespace what_is_shared_parts {

struct Report {
  bool has_run;
  int error;  // the errno of a call that failed in the unit, or 0
  pid_t pid;
};

class ReportPage {
 public:
  ReportPage() {
    void* page = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    report_ = new (page) Report{};
  }
  ReportPage(const ReportPage&) = delete;
  ReportPage& operator=(const ReportPage&) = delete;
  ~ReportPage() { ::munmap(report_, sizeof(Report)); }

  Report* operator->() const { return report_; }

 private:
  Report* report_;
};

class Descriptor {
 public:
  Descriptor(const char* path, int flags) : number_(::open(path, flags | O_CLOEXEC)) {
    if (number_ < 0) throw std::system_error(errno, std::generic_category(), path);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (is_open()) ::close(number_);
  }

  int number() const { return number_; }
  bool is_open() const { return ::fcntl(number_, F_GETFD) >= 0; }

 private:
  int number_;
};

class HomeDirectory {
 public:
  HomeDirectory() : directory_(".", O_PATH | O_DIRECTORY) {}
  HomeDirectory(const HomeDirectory&) = delete;
  HomeDirectory& operator=(const HomeDirectory&) = delete;
  ~HomeDirectory() { (void)::fchdir(directory_.number()); }

  bool is(const char* path) const {
    struct stat here = {};
    struct stat there = {};
    if (::fstat(directory_.number(), &here) != 0 || ::stat(path, &there) != 0) {
      throw std::system_error(errno, std::generic_category(), path);
    }
    return here.st_dev == there.st_dev && here.st_ino == there.st_ino;
  }

 private:
  Descriptor directory_;
};

}  // namespace what_is_shared_parts

inline Sharing what_is_shared(const Launcher& launcher) {
  namespace parts = what_is_shared_parts;
  if (!launcher) throw std::invalid_argument("what_is_shared: the launcher is empty");

  parts::ReportPage report;
  parts::HomeDirectory home;

  launcher([&] {
    report->pid = ::getpid();
    report->has_run = true;
  });

  if (!report->has_run) throw std::invalid_argument("what_is_shared: the launcher has not run the callable");
  if (report->error != 0) throw std::system_error(report->error, std::generic_category(), "close or chdir in the unit");
  bool is_thread = report->pid == ::getpid();
  return {
      .memory = is_thread,
      .heap = is_thread,
      .stack = is_thread,
      .descriptors = is_thread,
      .working_directory = is_thread,
      .pid = is_thread,
  };
}
