// Starts a unit for each question; each reports through a pipe that it has run. The descriptor is one that the unit
// opens, and the directory is compared by its path.

#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
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

inline int written_by_a_unit = 0;

// Has the launcher run `question` and returns its answer, which the unit writes into a pipe. Neither side closes an end
// while the unit is there, since it may be the other side's end as well.
inline int ask_a_unit(const Launcher& launcher, const std::function<int()>& question) {
  struct Pipe {
    int ends[2];
    Pipe() {
      if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    }
    ~Pipe() {
      ::close(ends[0]);
      ::close(ends[1]);
    }
  } pipe;
  launcher([&] {
    int answer = question();
    (void)!::write(pipe.ends[1], &answer, sizeof(answer));
  });
  // The creator's own word comes behind the answer, or alone if there is none: so the read never waits.
  const int nothing = -1;
  (void)!::write(pipe.ends[1], &nothing, sizeof(nothing));
  int answer = nothing;
  (void)!::read(pipe.ends[0], &answer, sizeof(answer));
  if (answer == nothing) throw std::invalid_argument("what_is_shared: the callable has not run");
  return answer;
}

inline Sharing what_is_shared(const Launcher& launcher) {
  if (!launcher) throw std::invalid_argument("what_is_shared: no launcher");
  Sharing sharing;

  written_by_a_unit = 0;
  ask_a_unit(launcher, [] { return written_by_a_unit = 1; });
  sharing.memory = written_by_a_unit == 1;

  std::shared_ptr<int> on_the_heap(new int(0));
  ask_a_unit(launcher, [number = on_the_heap.get()] { return *number = 1; });
  sharing.heap = *on_the_heap == 1;

  int on_the_stack[4] = {};
  ask_a_unit(launcher, [&] { return on_the_stack[3] = 1; });
  sharing.stack = on_the_stack[3] == 1;

  {
    struct Closer {
      int descriptor;
      ~Closer() { ::close(descriptor); }  // fails, and does no harm, where nothing is open
    };
    // The number is chosen here, so that it is known also if the launcher throws after the unit has run.
    Closer original{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    Closer copy{::fcntl(original.descriptor, F_DUPFD_CLOEXEC, 100)};
    ::close(copy.descriptor);
    ask_a_unit(launcher, [&] { return ::dup3(original.descriptor, copy.descriptor, O_CLOEXEC); });
    sharing.descriptors = ::fcntl(copy.descriptor, F_GETFD) >= 0;
  }

  namespace fs = std::filesystem;
  fs::path home = fs::current_path();
  struct WayHome {
    fs::path path;
    ~WayHome() { fs::current_path(path); }
  } way_home{home};
  const char* elsewhere = home == "/dev" ? "/" : "/dev";
  ask_a_unit(launcher, [&] { return ::chdir(elsewhere); });
  sharing.working_directory = fs::current_path() != home;

  sharing.pid = ask_a_unit(launcher, [] { return ::getpid(); }) == ::getpid();
  return sharing;
}
