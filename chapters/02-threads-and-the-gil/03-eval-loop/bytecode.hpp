#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <vector>

#include <given/interpreter_lock.hpp>

using Value = std::int64_t;

/// What an instruction does with the stack of its thread and with the globals, which all threads share.
enum class Opcode : std::uint8_t {
  load_const,     // push the operand
  load_global,    // push globals[operand]
  store_global,   // pop a value into globals[operand]
  add_to_global,  // pop a value and add it to globals[operand]
  add,            // pop b, pop a, push a + b
  subtract,       // pop b, pop a, push a - b
  divide,         // pop b, pop a, push a / b, rounded towards zero
  jump,           // go on with program[operand]
  jump_if_zero,   // pop a value; if it is 0, go on with program[operand]
  call,           // pop a value, call natives[operand] with it, push the result
  return_value,   // pop a value: the result of the program, which ends here
};

struct Instruction {
  Opcode opcode;
  Value operand = 0;
};

using Program = std::vector<Instruction>;

/// A function that is written in C++, as len() and time.sleep() are written in C.
using Native = std::function<Value(Value)>;

/// What all threads share.
struct Interpreter {
  InterpreterLock lock;
  std::vector<Value> globals = {};
  std::vector<Native> natives = {};
};

/// How many values the stack of one thread holds.
inline constexpr std::size_t stack_limit = 32;

enum class Fault : std::uint8_t {
  stack_overflow,    // a push, and stack_limit values are there
  stack_underflow,   // a pop, and no value is there
  bad_jump,          // a jump out of the program, or the program has no next instruction
  unknown_opcode,    // none of those above
  unknown_global,    // no global of this index
  unknown_native,    // no native function of this index
  division_by_zero,  //
  overflow,          // the result of arithmetic does not fit in a Value
};

/// What ends a program that is wrong.
class ProgramError : public std::runtime_error {
 public:
  ProgramError(Fault fault, const char* message) : std::runtime_error(message), fault_(fault) {}

  Fault fault() const noexcept { return fault_; }

 private:
  Fault fault_;
};
