// Looks at the breaker before each instruction, the first one too, in a function that fetches; one function for all
// arithmetic; the lock is given back where the call catches whatever ends it.

#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <03-eval-loop/bytecode.hpp>

namespace eval_loop {

inline Value arithmetic(Opcode operation, Value a, Value b) {
  if (operation == Opcode::divide) {
    if (b == 0) throw ProgramError(Fault::division_by_zero, "division by zero");
    if (b != -1) return a / b;
    operation = Opcode::subtract;  // a / -1 is 0 - a, which may not fit
    b = a;
    a = 0;
  }
  Value result = 0;
  const bool fits =
      operation == Opcode::add ? !__builtin_add_overflow(a, b, &result) : !__builtin_sub_overflow(a, b, &result);
  if (!fits) throw ProgramError(Fault::overflow, "the result does not fit");
  return result;
}

inline Value run(Interpreter& interpreter, const Program& program, std::span<Value, stack_limit> stack) {
  std::size_t size = 0;
  std::size_t next = 0;
  auto fetch = [&] {
    if (interpreter.lock.drop_requested()) {
      interpreter.lock.release();
      interpreter.lock.acquire();
    }
    if (next >= program.size()) throw ProgramError(Fault::bad_jump, "out of the program");
    return program[next++];
  };
  auto push = [&](Value value) {
    if (size == stack.size()) throw ProgramError(Fault::stack_overflow, "more values than the stack holds");
    stack[size++] = value;
  };
  auto pop = [&] {
    if (size == 0) throw ProgramError(Fault::stack_underflow, "the stack is empty");
    return stack[--size];
  };

  while (true) {
    const Instruction instruction = fetch();
    const auto index = static_cast<std::size_t>(instruction.operand);
    switch (instruction.opcode) {
      case Opcode::load_const:
        push(instruction.operand);
        continue;
      case Opcode::load_global:
      case Opcode::store_global:
      case Opcode::add_to_global: {
        if (index >= interpreter.globals.size()) throw ProgramError(Fault::unknown_global, "no such global");
        Value& global = interpreter.globals[index];
        if (instruction.opcode == Opcode::load_global) {
          push(global);
        } else if (instruction.opcode == Opcode::store_global) {
          global = pop();
        } else {
          global = arithmetic(Opcode::add, global, pop());
        }
        continue;
      }
      case Opcode::add:
      case Opcode::subtract:
      case Opcode::divide: {
        const Value b = pop();
        const Value a = pop();
        push(arithmetic(instruction.opcode, a, b));
        continue;
      }
      case Opcode::jump:
        next = index;
        continue;
      case Opcode::jump_if_zero:
        if (pop() == 0) next = index;
        continue;
      case Opcode::call:
        if (index >= interpreter.natives.size()) throw ProgramError(Fault::unknown_native, "no such native function");
        push(interpreter.natives[index](pop()));
        continue;
      case Opcode::return_value:
        return pop();
    }
    throw ProgramError(Fault::unknown_opcode, "no such instruction");
  }
}

}  // namespace eval_loop

inline Value evaluate(Interpreter& interpreter, const Program& program) {
  auto stack = std::make_unique<Value[]>(stack_limit);
  interpreter.lock.acquire();
  try {
    const Value result = eval_loop::run(interpreter, program, std::span<Value, stack_limit>(stack.get(), stack_limit));
    interpreter.lock.release();
    return result;
  } catch (...) {
    interpreter.lock.release();
    throw;
  }
}
