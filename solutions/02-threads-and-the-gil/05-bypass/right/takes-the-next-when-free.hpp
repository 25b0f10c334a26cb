// No shares: each worker takes the next item whenever it is free, from an index that all of them have in common, which
// for processes is in shared memory. One long item does not hold up a whole share.

#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <05-bypass/interpreter.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

inline int worker_count(std::span<const Value> items, int workers) {
  if (workers < 1) throw std::invalid_argument("workers");
  return static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(workers), items.size()));
}

inline std::vector<Value> interpreter_map(std::span<const Value> items, int workers, const Program& program) {
  std::vector<Value> results(items.size());
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::unique_ptr<MapError> failure;
  auto fail = [&](std::size_t item, const std::string& reason) {
    std::lock_guard lock(mutex);
    if (!failure) failure = std::make_unique<MapError>(item, reason);
    next = items.size();  // the others need not begin anything more
  };

  std::vector<std::thread> threads;
  for (int i = worker_count(items, workers); i > 0; --i) {
    threads.emplace_back([&] {
      Interpreter interpreter;
      for (std::size_t item; (item = next++) < items.size();) {
        try {
          results[item] = interpreter.evaluate(program, items[item]);
        } catch (const std::exception& exception) {
          return fail(item, exception.what());
        } catch (...) {
          return fail(item, "unknown exception");
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) throw *failure;
  return results;
}

// What the processes have in common; behind it, the results.
struct Board {
  std::atomic<std::size_t> next;
  std::atomic<bool> failed;  // who sets it first may write the rest
  std::size_t item;
  char reason[256];

  Value* results() { return reinterpret_cast<Value*>(this + 1); }

  void fail(std::size_t which, const char* why) {
    if (failed.exchange(true)) return;
    item = which;
    std::strncpy(reason, why, sizeof(reason) - 1);
  }
};

inline std::vector<Value> process_map(std::span<const Value> items, int workers, const Program& program) {
  int count = worker_count(items, workers);
  // Behind the board and the results: the item that each worker is at, counted from 1; 0 when it is at none.
  std::size_t size = sizeof(Board) + (items.size() + static_cast<std::size_t>(count)) * sizeof(Value);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  std::unique_ptr<void, std::function<void(void*)>> unmap(memory, [size](void* mapped) { ::munmap(mapped, size); });
  auto* board = new (memory) Board();
  Value* at = board->results() + items.size();

  int started = 0, error = 0;
  for (; started < count; ++started) {
    pid_t pid = ::fork();
    if (pid < 0) {
      error = errno;
      board->next = items.size();  // those that run come to an end
      break;
    }
    if (pid > 0) continue;
    Interpreter interpreter;
    for (std::size_t item; (item = board->next++) < items.size();) {
      at[started] = static_cast<Value>(item) + 1;
      try {
        board->results()[item] = interpreter.evaluate(program, items[item]);
      } catch (const std::exception& exception) {
        board->fail(item, exception.what());
        break;
      } catch (...) {
        board->fail(item, "unknown exception");
        break;
      }
      at[started] = 0;
    }
    ::_exit(0);
  }

  for (int left = started; left > 0;) {
    if (::wait(nullptr) > 0) --left;
  }
  if (error != 0) throw std::system_error(error, std::generic_category(), "fork");
  if (board->failed) throw MapError(board->item, board->reason);
  for (int i = 0; i < count; ++i) {
    if (at[i] != 0) throw MapError(static_cast<std::size_t>(at[i]) - 1, "the worker died");
  }
  return {board->results(), board->results() + items.size()};
}
