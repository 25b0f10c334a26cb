#pragma once

// 2.3 eval-loop: run bytecode in threads that share one interpreter.
//
// CPython's `_PyEval_EvalFrameDefault` (Python/ceval.c). In Python, `dis.dis(function)` shows what it runs.

#include <03-eval-loop/bytecode.hpp>

#include "exercise/not_done.hpp"

/// Runs `program` from its first instruction to a return_value, in the calling thread, and returns that value. What the
/// instructions do is said in 03-eval-loop/bytecode.hpp.
///
/// Any number of threads may call it at the same time, for one interpreter and also for one program. Each call has a
/// stack of its own. The interpreter's lock is taken before the first instruction; the caller does not hold it.
///
/// An instruction is never interrupted: the lock is held from its beginning to its end, and while a native function
/// runs as well. Between any two instructions it is looked whether the lock is asked for (drop_requested()). If it is,
/// and only then, it is given back and taken again before the next instruction.
///
/// A program that goes wrong ends with a ProgramError that names the Fault; an exception of a native function passes
/// through. However the call ends, the lock is given back.
inline Value evaluate(Interpreter& interpreter, const Program& program) {
  (void)interpreter;  // take this line out once you use it
  (void)program;      // and this one
  interleave::not_done();
}
