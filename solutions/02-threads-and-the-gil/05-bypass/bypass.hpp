#pragma once

// 2.5 bypass: compute on all cores although there is a GIL, once with more interpreters and once with more processes.
//
// Python's `InterpreterPoolExecutor(max_workers=workers).map(program, items)` and the same of `ProcessPoolExecutor`,
// both in `concurrent.futures`, by hand.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <05-bypass/interpreter.hpp>  // Interpreter, Program, Value, MapError

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

inline std::size_t worker_count(std::span<const Value> items, int workers) {
  if (workers < 1) throw std::invalid_argument("a map needs one worker at the least");
  return std::min(static_cast<std::size_t>(workers), items.size());
}

// The shares differ by one item at the most: worker `index` of `count` has the items from here to where the next
// begins.
inline std::size_t begin_of_share(std::size_t items, std::size_t count, std::size_t index) {
  return items * index / count;
}

// Both functions evaluate program(item) once for each of the items, each time by Interpreter::evaluate(), and return
// the results in the order of the items.
//
// They do so with `workers` workers, or with one for each item if that is fewer. All of these are at work at the same
// time, each in the evaluator with an item of its own. Either a worker has its share of the items from the start, which
// is at least items / workers, rounded down; or it takes the next item whenever it is free.
//
// `workers` is 1 or more; less throws std::invalid_argument, also if there are no items. No items give no results.
//
// If an exception leaves the program, they throw a MapError with this item and, somewhere in its what(), the what() of
// the exception; "unknown exception" if it is not a std::exception. If several items fail, the error is of any one of
// them. Whether the items behind one that failed are still evaluated is not specified.
//
// They return, or throw, when no worker is left. They are called by one thread at a time, in a process that has no
// child.

/// Each worker is a thread and has an interpreter of its own. Makes one interpreter for each worker, and no other.
inline std::vector<Value> interpreter_map(std::span<const Value> items, int workers, const Program& program) {
  std::size_t count = worker_count(items, workers);
  // Each thread writes to places of its own, so nobody needs a lock, and the order is that of the items.
  std::vector<Value> results(items.size());
  std::vector<std::optional<MapError>> failures(count);

  auto work = [&](std::size_t index) {
    Interpreter interpreter;
    std::size_t end = begin_of_share(items.size(), count, index + 1);
    for (std::size_t i = begin_of_share(items.size(), count, index); i < end && !failures[index]; ++i) {
      try {
        results[i] = interpreter.evaluate(program, items[i]);
      } catch (const std::exception& exception) {
        failures[index].emplace(i, exception.what());
      } catch (...) {
        failures[index].emplace(i, "unknown exception");
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t index = 0; index < count; ++index) threads.emplace_back(work, index);
  }  // here they are joined

  for (const auto& failure : failures) {
    if (failure) throw *failure;
  }
  return results;
}

// Values in memory that stays common to this process and those that it forks.
class SharedValues {
 public:
  explicit SharedValues(std::size_t count) : size_(std::max<std::size_t>(count, 1) * sizeof(Value)) {
    void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    values_ = static_cast<Value*>(memory);
  }
  SharedValues(const SharedValues&) = delete;
  SharedValues& operator=(const SharedValues&) = delete;
  ~SharedValues() { ::munmap(values_, size_); }

  Value& operator[](std::size_t index) const { return values_[index]; }
  Value* begin() const { return values_; }

 private:
  std::size_t size_;
  Value* values_;
};

// Both ends of a pipe; each is closed once, at the latest when it goes out of scope.
struct Pipe {
  int ends[2];

  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  Pipe(Pipe&& other) noexcept : ends{std::exchange(other.ends[0], -1), std::exchange(other.ends[1], -1)} {}
  Pipe& operator=(Pipe&&) = delete;
  ~Pipe() {
    close(0);
    close(1);
  }

  void close(int end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }

  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      ssize_t written = ::write(ends[1], bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) return;  // nobody is left to tell
      bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
    }
  }

  std::string read_to_the_end() const {
    std::string bytes;
    char buffer[1024];
    while (true) {
      ssize_t got = ::read(ends[0], buffer, sizeof(buffer));
      if (got > 0) bytes.append(buffer, static_cast<std::size_t>(got));
      if (got == 0 || (got < 0 && errno != EINTR)) return bytes;
    }
  }
};

inline void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// Each worker is a child process. The calling process evaluates nothing.
///
/// If a worker process ends before its work is done, by a signal or by _exit with whatever status, throws a MapError
/// with the item that it was evaluating.
/// If a process cannot be started, throws std::system_error with the error of fork(2).
///
/// Leaves no process, no zombie and no open descriptor behind, then too.
inline std::vector<Value> process_map(std::span<const Value> items, int workers, const Program& program) {
  std::size_t count = worker_count(items, workers);
  // The workers write here. A vector would not do: each worker would write into its own copy.
  SharedValues results(items.size());
  SharedValues done(count);  // how many items of its share a worker has results for

  struct Worker {
    pid_t pid;
    Pipe reason;  // why an item has no result, if the worker lives to tell
  };
  std::vector<Worker> running;
  running.reserve(count);

  for (std::size_t index = 0; index < count; ++index) {
    std::size_t begin = begin_of_share(items.size(), count, index);
    std::size_t end = begin_of_share(items.size(), count, index + 1);
    Pipe reason;
    pid_t pid = ::fork();
    if (pid < 0) {
      int error = errno;  // kill and waitpid may change it
      for (const Worker& worker : running) ::kill(worker.pid, SIGKILL);
      for (const Worker& worker : running) reap(worker.pid);
      throw std::system_error(error, std::generic_category(), "fork");
    }
    if (pid == 0) {
      // The worker. Its GIL is its own, as all of its memory is. There is no way out but _exit.
      try {
        Interpreter interpreter;
        for (std::size_t i = begin; i < end; ++i) {
          results[i] = interpreter.evaluate(program, items[i]);
          ++done[index];
        }
      } catch (const std::exception& exception) {
        reason.write(exception.what());
      } catch (...) {
        reason.write("unknown exception");
      }
      ::_exit(0);
    }
    reason.close(1);  // the worker's must be the last one, or there is no end to read to
    running.push_back({pid, std::move(reason)});
  }

  // The counts say how far each has come, whatever way it ended, so its exit status is not needed.
  std::optional<MapError> failure;
  for (std::size_t index = 0; index < count; ++index) {
    std::string reason = running[index].reason.read_to_the_end();
    reap(running[index].pid);
    std::size_t stopped_at = begin_of_share(items.size(), count, index) + static_cast<std::size_t>(done[index]);
    if (!failure && stopped_at < begin_of_share(items.size(), count, index + 1)) {
      failure.emplace(stopped_at, reason.empty() ? "its process has ended" : reason);
    }
  }
  if (failure) throw *failure;
  return {results.begin(), results.begin() + items.size()};
}
