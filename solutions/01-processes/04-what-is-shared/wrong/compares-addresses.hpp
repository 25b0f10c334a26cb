// Asks the unit for the addresses of the variables and finds them equal: after fork() they are, byte for byte, but an
// address is a name within one address space and says nothing about another.
// caught: plain, WhatIsShared.SharesNothingWithAForkedProcess, wrong answer

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
  const void* global_address;
  const void* heap_address;
  const void* stack_address;
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

inline int global_variable = 0;

}  // namespace what_is_shared_parts

inline Sharing what_is_shared(const Launcher& launcher) {
  namespace parts = what_is_shared_parts;
  if (!launcher) throw std::invalid_argument("what_is_shared: the launcher is empty");

  parts::ReportPage report;
  parts::HomeDirectory home;
  parts::Descriptor descriptor("/dev/null", O_RDONLY);
  // A move to where one is already would be seen by nobody.
  const char* elsewhere = home.is("/") ? "/proc" : "/";

  parts::global_variable = 0;  // an earlier unit may have left its mark
  auto heap_variable = std::make_unique<int>(0);
  int local_variable = 0;

  launcher([&] {
    report->global_address = &parts::global_variable;
    report->heap_address = heap_variable.get();
    report->stack_address = &local_variable;
    if (::close(descriptor.number()) != 0 || ::chdir(elsewhere) != 0) report->error = errno;
    report->pid = ::getpid();
    report->has_run = true;
  });

  if (!report->has_run) throw std::invalid_argument("what_is_shared: the launcher has not run the callable");
  if (report->error != 0) throw std::system_error(report->error, std::generic_category(), "close or chdir in the unit");
  return {
      .memory = report->global_address == &parts::global_variable,
      .heap = report->heap_address == heap_variable.get(),
      .stack = report->stack_address == &local_variable,
      .descriptors = !descriptor.is_open(),
      .working_directory = !home.is("."),
      .pid = report->pid == ::getpid(),
  };
}
