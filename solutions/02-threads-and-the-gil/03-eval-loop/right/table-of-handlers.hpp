// A function for each instruction, in a table, and a loop that only fetches, calls and looks at the breaker; the stack
// is a std::vector.

#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

#include <03-eval-loop/bytecode.hpp>

namespace eval_loop {

/// What an instruction can touch: the frame of one call, and what it shares.
struct Frame {
  Interpreter& interpreter;
  const Program& program;
  std::vector<Value> stack = {};
  std::size_t next = 0;
  std::optional<Value> result = {};

  void push(Value value) {
    if (stack.size() == stack_limit) throw ProgramError(Fault::stack_overflow, "more values than the stack holds");
    stack.push_back(value);
  }
  Value pop() {
    if (stack.empty()) throw ProgramError(Fault::stack_underflow, "the stack is empty");
    const Value value = stack.back();
    stack.pop_back();
    return value;
  }
  Value& global(Value index) {
    if (index < 0 || index >= static_cast<Value>(interpreter.globals.size())) {
      throw ProgramError(Fault::unknown_global, "no such global");
    }
    return interpreter.globals[static_cast<std::size_t>(index)];
  }
  void jump(Value target) {
    if (target < 0 || target >= static_cast<Value>(program.size())) {
      throw ProgramError(Fault::bad_jump, "out of the program");
    }
    next = static_cast<std::size_t>(target);
  }
};

inline Value fitting(bool overflow, Value result) {
  if (overflow) throw ProgramError(Fault::overflow, "the result does not fit");
  return result;
}

inline Value sum(Value a, Value b) {
  Value result = 0;
  const bool overflow = __builtin_add_overflow(a, b, &result);
  return fitting(overflow, result);
}

using Handler = void (*)(Frame&, Value);

inline void load_const(Frame& frame, Value operand) { frame.push(operand); }
inline void load_global(Frame& frame, Value operand) { frame.push(frame.global(operand)); }
inline void store_global(Frame& frame, Value operand) { frame.global(operand) = frame.pop(); }
inline void add_to_global(Frame& frame, Value operand) {
  Value& global = frame.global(operand);
  global = sum(global, frame.pop());
}
inline void add(Frame& frame, Value) {
  const Value b = frame.pop();
  frame.push(sum(frame.pop(), b));
}
inline void subtract(Frame& frame, Value) {
  const Value b = frame.pop();
  const Value a = frame.pop();
  Value result = 0;
  const bool overflow = __builtin_sub_overflow(a, b, &result);
  frame.push(fitting(overflow, result));
}
inline void divide(Frame& frame, Value) {
  const Value b = frame.pop();
  const Value a = frame.pop();
  if (b == 0) throw ProgramError(Fault::division_by_zero, "division by zero");
  fitting(b == -1 && a == std::numeric_limits<Value>::min(), 0);
  frame.push(a / b);
}
inline void jump(Frame& frame, Value operand) { frame.jump(operand); }
inline void jump_if_zero(Frame& frame, Value operand) {
  if (frame.pop() == 0) frame.jump(operand);
}
inline void call(Frame& frame, Value operand) {
  if (operand < 0 || operand >= static_cast<Value>(frame.interpreter.natives.size())) {
    throw ProgramError(Fault::unknown_native, "no such native function");
  }
  frame.push(frame.interpreter.natives[static_cast<std::size_t>(operand)](frame.pop()));
}
inline void return_value(Frame& frame, Value) { frame.result = frame.pop(); }

// In the order of Opcode.
inline constexpr std::array<Handler, 11> handlers = {load_const,   load_global, store_global, add_to_global,
                                                     add,          subtract,    divide,       jump,
                                                     jump_if_zero, call,        return_value};

/// The lock, as std::lock_guard wants it.
struct Lockable {
  InterpreterLock& gil;
  void lock() { gil.acquire(); }
  void unlock() { gil.release(); }
};

}  // namespace eval_loop

inline Value evaluate(Interpreter& interpreter, const Program& program) {
  eval_loop::Lockable lockable{interpreter.lock};
  std::lock_guard holder(lockable);
  eval_loop::Frame frame{interpreter, program};
  while (true) {
    if (frame.next == program.size()) throw ProgramError(Fault::bad_jump, "no next instruction");
    const Instruction& instruction = program[frame.next++];
    const auto number = static_cast<std::size_t>(instruction.opcode);
    if (number >= eval_loop::handlers.size()) throw ProgramError(Fault::unknown_opcode, "no such instruction");
    eval_loop::handlers[number](frame, instruction.operand);
    if (frame.result) return *frame.result;
    if (interpreter.lock.drop_requested()) {
      lockable.unlock();
      lockable.lock();
    }
  }
}
