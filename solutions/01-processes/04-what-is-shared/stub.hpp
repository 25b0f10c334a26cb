#pragma once

// 1.4 what-is-shared: find out, by experiment, what a unit of execution shares with its creator.
//
// "A process has its own memory, a thread shares it" is a table in a book. The kernel has no such table: clone(2) takes
// a flag for each row, and a process (Python's `multiprocessing.Process`) and a thread (`threading.Thread`) are two of
// the many units of execution that it can make.

#include <functional>

#include "exercise/not_done.hpp"

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
  (void)launcher;  // take this line out once you use it
  interleave::not_done();
}
