#pragma once

// What 2.5 bypass stands on: an interpreter with a GIL of its own, what it runs, and how a failure is told.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

using Value = std::int64_t;

/// What an interpreter runs: from an item to its result, with nothing but computing in between. May be run by several
/// interpreters at the same time.
using Program = std::function<Value(Value)>;

/// One interpreter, as `concurrent.interpreters.create()` makes one in Python 3.14. It has a GIL of its own: of the
/// threads that call evaluate() of the same interpreter one is inside, and the others wait.
class Interpreter {
 public:
  // Relaxed: it only counts, and must not put the threads that make interpreters into an order.
  Interpreter() { made_.fetch_add(1, std::memory_order_relaxed); }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// Runs program(item) under the GIL, which is not given up in between, for a program that computes never blocks.
  /// An exception from the program passes through.
  Value evaluate(const Program& program, Value item) {
    struct Inside {
      explicit Inside(Interpreter* interpreter) : outer(std::exchange(current_, interpreter)) {}
      Inside(const Inside&) = delete;
      Inside& operator=(const Inside&) = delete;
      ~Inside() { current_ = outer; }
      Interpreter* outer;
    };
    std::lock_guard holder(gil_);
    Inside inside(this);
    return program(item);
  }

  /// The interpreter that the calling thread is inside of; null outside.
  static Interpreter* current() { return current_; }

  /// How many interpreters this process has made.
  static int made() { return made_.load(std::memory_order_relaxed); }

 private:
  static inline thread_local Interpreter* current_ = nullptr;
  static inline std::atomic<int> made_ = 0;
  std::mutex gil_;
};

/// An item has no result.
class MapError : public std::runtime_error {
 public:
  /// `item` is the item's place in the input, from 0.
  MapError(std::size_t item, const std::string& reason)
      : std::runtime_error("item " + std::to_string(item) + ": " + reason), item_(item) {}

  std::size_t item() const noexcept { return item_; }

 private:
  std::size_t item_;
};
