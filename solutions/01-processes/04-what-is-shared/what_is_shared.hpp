#pragma once

// 1.4 what-is-shared: find out, by experiment, what a unit of execution shares with its creator.
//
// "A process has its own memory, a thread shares it" is a table in a book. The kernel has no such table: clone(2) takes
// a flag for each row, and a process (Python's `multiprocessing.Process`) and a thread (`threading.Thread`) are two of
// the many units of execution that it can make.

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

/// Starts a unit of execution, which runs the callable once, and returns when that unit has ended. What kind of unit it
/// is, is the launcher's secret: a process, a thread, something between the two, or no more than a function call.
///
/// The unit may come from a bare clone(2), and then it uses the thread-local storage of its creator: what runs in it
/// should be plain reads and writes of memory and system calls, and must not throw.
using Launcher = std::function<void(const std::function<void()>&)>;

/// What a unit shares with its creator, the thread that called what_is_shared. True means shared: an effect of the unit
/// there is an effect on the creator. A copy, as equal as it may be and at the same address, is not shared.
struct Sharing {
  bool memory = false;             // what the unit writes to a global variable is read by the creator
  bool heap = false;               // ... to an object that what_is_shared made with new or malloc in the same call
  bool stack = false;              // ... to a local variable of what_is_shared. (Each unit runs on a stack of its own;
                                   // the question is whether it can reach the stack of its creator.)
  bool descriptors = false;        // a descriptor that the unit opens, closes or marks is so for the creator too
  bool working_directory = false;  // the unit's chdir(2) moves the creator too
  bool pid = false;                // getpid(2) says the same in both

  bool operator==(const Sharing&) const = default;
};

namespace what_is_shared_parts {

/// What the unit tells the creator, in memory that both can see whatever else they share.
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

/// A descriptor that somebody else may close.
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

/// The directory in which it was made; goes back there at its end.
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

/// Has `launcher` start units of execution, one or several, and returns what such a unit shares with its creator. Each
/// of the six is a question of its own: any of the first five may be shared without any other of them. (A part of the
/// memory can be shared alone: mmap(2) with MAP_SHARED.)
///
/// Is right in whatever directory it is called, and as often as it is called, whatever the launchers before were.
///
/// Leaves the creator's working directory where it was, and its descriptors as they were: none more, none less, none
/// with other flags. Also when the launcher throws; its exception arrives at the caller unchanged.
///
/// Throws std::invalid_argument if `launcher` is empty, or returns although the callable has not run.
///
/// Called by a process that has no other thread: the working directory may be another one in the meantime.
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
    parts::global_variable = 1;
    *heap_variable = 1;
    local_variable = 1;
    if (::close(descriptor.number()) != 0 || ::chdir(elsewhere) != 0) report->error = errno;
    report->pid = ::getpid();
    report->has_run = true;
  });

  if (!report->has_run) throw std::invalid_argument("what_is_shared: the launcher has not run the callable");
  if (report->error != 0) throw std::system_error(report->error, std::generic_category(), "close or chdir in the unit");
  // Nothing has been opened since the unit ran: a number that it has freed would be given out again.
  return {
      .memory = parts::global_variable == 1,
      .heap = *heap_variable == 1,
      .stack = local_variable == 1,
      .descriptors = !descriptor.is_open(),
      .working_directory = !home.is("."),
      .pid = report->pid == ::getpid(),
  };
}
