// Looks at the breaker in push and pop, because every instruction comes through one of them: it does, and in
// add_to_global it comes through between the read and the write.
// caught: explore, Evaluate.LosesNoUpdateInTheMiddleOfAnInstruction, wrong answer

#pragma once

#include <array>
#include <cstddef>

#include <03-eval-loop/bytecode.hpp>

namespace eval_loop {

class Holder {
 public:
  explicit Holder(InterpreterLock& lock) : lock_(lock) { lock_.acquire(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() { lock_.release(); }

 private:
  InterpreterLock& lock_;
};

class Stack {
 public:
  explicit Stack(InterpreterLock& lock) : lock_(lock) {}

  void push(Value value) {
    if (size_ == stack_limit) throw ProgramError(Fault::stack_overflow, "more values than the stack holds");
    values_[size_++] = value;
    make_way();
  }

  Value pop() {
    if (size_ == 0) throw ProgramError(Fault::stack_underflow, "the stack is empty");
    make_way();
    return values_[--size_];
  }

 private:
  void make_way() {
    if (!lock_.drop_requested()) return;
    lock_.release();
    lock_.acquire();
  }

  InterpreterLock& lock_;
  std::array<Value, stack_limit> values_;
  std::size_t size_ = 0;
};

template <typename Elements>
auto& element(Elements& elements, std::size_t index, Fault fault, const char* message) {
  if (index >= elements.size()) throw ProgramError(fault, message);
  return elements[index];
}

inline Value sum(Value a, Value b) {
  Value result;
  if (__builtin_add_overflow(a, b, &result)) throw ProgramError(Fault::overflow, "the sum does not fit");
  return result;
}

inline Value difference(Value a, Value b) {
  Value result;
  if (__builtin_sub_overflow(a, b, &result)) throw ProgramError(Fault::overflow, "the difference does not fit");
  return result;
}

inline Value quotient(Value a, Value b) {
  if (b == 0) throw ProgramError(Fault::division_by_zero, "division by zero");
  return b == -1 ? difference(0, a) : a / b;
}

}  // namespace eval_loop

inline Value evaluate(Interpreter& interpreter, const Program& program) {
  using namespace eval_loop;
  Holder holder(interpreter.lock);
  Stack stack(interpreter.lock);
  auto global = [&](std::size_t index) -> Value& {
    return element(interpreter.globals, index, Fault::unknown_global, "no such global");
  };

  std::size_t next = 0;
  while (true) {
    const auto [opcode, operand] = element(program, next++, Fault::bad_jump, "out of the program");
    const auto index = static_cast<std::size_t>(operand);
    switch (opcode) {
      case Opcode::load_const:
        stack.push(operand);
        break;
      case Opcode::load_global:
        stack.push(global(index));
        break;
      case Opcode::store_global:
        global(index) = stack.pop();
        break;
      case Opcode::add_to_global:
        global(index) = sum(global(index), stack.pop());
        break;
      case Opcode::add: {
        const Value b = stack.pop();
        stack.push(sum(stack.pop(), b));
        break;
      }
      case Opcode::subtract: {
        const Value b = stack.pop();
        stack.push(difference(stack.pop(), b));
        break;
      }
      case Opcode::divide: {
        const Value b = stack.pop();
        stack.push(quotient(stack.pop(), b));
        break;
      }
      case Opcode::jump:
        next = index;
        break;
      case Opcode::jump_if_zero:
        if (stack.pop() == 0) next = index;
        break;
      case Opcode::call: {
        const Native& native = element(interpreter.natives, index, Fault::unknown_native, "no such native function");
        stack.push(native(stack.pop()));
        break;
      }
      case Opcode::return_value:
        return stack.pop();
      default:
        throw ProgramError(Fault::unknown_opcode, "no such instruction");
    }
  }
}
