// Calls the program without an interpreter: nobody waits for a GIL that nobody takes, but in Python there is no running
// a program outside of an interpreter.
// caught: plain, InterpreterMap.EvaluatesInAnInterpreter, forbidden shortcut

#pragma once

#include <05-bypass/interpreter.hpp>

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

inline std::size_t begin_of_share(std::size_t items, std::size_t count, std::size_t index) {
  return items * index / count;
}

inline std::vector<Value> interpreter_map(std::span<const Value> items, int workers, const Program& program) {
  std::size_t count = worker_count(items, workers);
  std::vector<Value> results(items.size());
  std::vector<std::optional<MapError>> failures(count);

  auto work = [&](std::size_t index) {
    Interpreter interpreter;
    std::size_t end = begin_of_share(items.size(), count, index + 1);
    for (std::size_t i = begin_of_share(items.size(), count, index); i < end && !failures[index]; ++i) {
      try {
        results[i] = program(items[i]);
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

inline std::vector<Value> process_map(std::span<const Value> items, int workers, const Program& program) {
  std::size_t count = worker_count(items, workers);
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
