// Threads whose failures come back through std::future, and processes that send each result as a message with the
// item's index; the messages of all of them come through one socket. The shares are every n-th item.

#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <05-bypass/interpreter.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <exception>
#include <future>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

// Evaluates every `step`-th item and hands each result on; a failure leaves as a MapError.
template <typename Report>
void evaluate_share(Interpreter& interpreter, std::span<const Value> items, std::size_t first, std::size_t step,
                    const Program& program, Report report) {
  for (std::size_t i = first; i < items.size(); i += step) {
    try {
      report(i, interpreter.evaluate(program, items[i]));
    } catch (const std::exception& exception) {
      throw MapError(i, exception.what());
    } catch (...) {
      throw MapError(i, "unknown exception");
    }
  }
}

inline std::vector<Value> interpreter_map(std::span<const Value> items, int workers, const Program& program) {
  if (workers <= 0) throw std::invalid_argument("workers must be positive");
  std::size_t count = std::min(static_cast<std::size_t>(workers), items.size());
  std::deque<Interpreter> interpreters(count);
  std::vector<Value> results(items.size());
  std::vector<std::future<void>> futures;
  for (std::size_t worker = 0; worker < count; ++worker) {
    futures.push_back(std::async(std::launch::async, [&, worker] {
      evaluate_share(interpreters[worker], items, worker, count, program,
                     [&](std::size_t item, Value result) { results[item] = result; });
    }));
  }
  for (auto& future : futures) future.wait();
  for (auto& future : futures) future.get();
  return results;
}

struct Message {
  std::size_t item;
  Value result;
  bool failed;
  char reason[200];
};

inline std::vector<Value> process_map(std::span<const Value> items, int workers, const Program& program) {
  if (workers <= 0) throw std::invalid_argument("workers must be positive");
  std::size_t count = std::min(static_cast<std::size_t>(workers), items.size());
  // A message arrives whole or not at all.
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  std::map<pid_t, std::size_t> running;
  std::size_t started = 0;
  int error = 0;
  for (; started < count; ++started) {
    pid_t pid = ::fork();
    if (pid < 0) {
      error = errno;
      break;
    }
    if (pid == 0) {
      auto send = [&](const Message& message) {
        while (::send(ends[1], &message, sizeof(message), 0) < 0 && errno == EINTR) {
        }
      };
      try {
        Interpreter interpreter;
        evaluate_share(interpreter, items, started, count, program, [&](std::size_t item, Value result) {
          send({item, result, false, ""});
        });
      } catch (const MapError& failure) {
        Message message{failure.item(), 0, true, ""};
        std::string told = failure.what();
        std::string reason = told.substr(told.find(": ") + 2);
        std::strncpy(message.reason, reason.c_str(), sizeof(message.reason) - 1);
        send(message);
      }
      ::_exit(0);
    }
    running[pid] = started;
  }
  ::close(ends[1]);
  if (error != 0) {
    for (auto& [pid, worker] : running) ::kill(pid, SIGTERM);
  }

  std::vector<Value> results(items.size());
  std::vector<bool> there(items.size());
  std::string reason;
  std::size_t failed = items.size();
  Message message{};
  for (ssize_t got; (got = ::recv(ends[0], &message, sizeof(message), 0)) != 0;) {
    if (got < 0) continue;
    results[message.item] = message.result;
    there[message.item] = !message.failed;
    if (message.failed) {
      failed = message.item;
      reason = message.reason;
    }
  }
  ::close(ends[0]);
  for (auto& [pid, worker] : running) {
    while (::waitpid(pid, nullptr, 0) < 0) {
    }
  }

  if (error != 0) throw std::system_error(error, std::generic_category(), "fork");
  if (failed < items.size()) throw MapError(failed, reason);
  // The first of a share that is missing is what its worker was at; the rest behind it have no result either.
  for (std::size_t worker = 0; worker < count; ++worker) {
    for (std::size_t i = worker; i < items.size(); i += count) {
      if (!there[i]) throw MapError(i, "the worker's process ended");
    }
  }
  return results;
}
