#pragma once

// 2.5 bypass: compute on all cores although there is a GIL, once with more interpreters and once with more processes.
//
// Python's `InterpreterPoolExecutor(max_workers=workers).map(program, items)` and the same of `ProcessPoolExecutor`,
// both in `concurrent.futures`, by hand.

#include <05-bypass/interpreter.hpp>  // Interpreter, Program, Value, MapError
#include <span>
#include <vector>

#include "exercise/not_done.hpp"

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
  (void)items, (void)workers, (void)program;  // take this line out once you use them
  interleave::not_done();
}

/// Each worker is a child process. The calling process evaluates nothing.
///
/// If a worker process ends before its work is done, by a signal or by _exit with whatever status, throws a MapError
/// with the item that it was evaluating.
/// If a process cannot be started, throws std::system_error with the error of fork(2).
///
/// Leaves no process, no zombie and no open descriptor behind, then too.
inline std::vector<Value> process_map(std::span<const Value> items, int workers, const Program& program) {
  (void)items, (void)workers, (void)program;  // take this line out once you use them
  interleave::not_done();
}
