#include "exercise/test.hpp"

#include <eval_loop.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using namespace std::chrono_literals;
using enum Opcode;

namespace {

constexpr Value largest = std::numeric_limits<Value>::max();
constexpr Value smallest = std::numeric_limits<Value>::min();

/// A program as it is written down. (Compiles faster than a Program in each place.)
using Instructions = std::initializer_list<Instruction>;

/// What a program comes to in an interpreter with two globals, 40 and 0, and one native function, which doubles.
Value value_of(Instructions program) {
  Interpreter interpreter{InterpreterLock(), {40, 0}, {[](Value value) { return 2 * value; }}};
  return evaluate(interpreter, program);
}

/// The Fault that ends the program in that interpreter; nothing if it does not fail.
std::optional<Fault> fault_of(Instructions program) {
  try {
    value_of(program);
  } catch (const ProgramError& error) {
    return error.fault();
  }
  return std::nullopt;
}

/// An interval that is over at once: a thread that waits asks for the lock.
InterpreterLock impatient_lock() { return InterpreterLock(100us); }

void wait_until_asked_for(const InterpreterLock& lock) {
  while (!lock.drop_requested()) std::this_thread::yield();
}

/// What is in the memory of a variable, as a debugger sees it: the thread that writes it takes no notice. Where the
/// kernel does not tell, not zero.
Value seen_from_outside(const Value& variable) {
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  const auto address = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(&variable));
  Value value = 1;
  if (::pread(memory, &value, sizeof(value), address) != sizeof(value)) value = 1;
  ::close(memory);
  return value;
}

}  // namespace

TEST(Evaluate, DoesWhatTheInstructionsSay) {
  EXPECT_EQ(value_of({{load_const, 7}, {return_value}}), 7) << "load_const";
  EXPECT_EQ(value_of({{load_global, 0}, {return_value}}), 40) << "load_global";
  EXPECT_EQ(value_of({{load_const, 7}, {load_const, 2}, {add}, {return_value}}), 9) << "7 + 2";
  EXPECT_EQ(value_of({{load_const, 7}, {load_const, 2}, {subtract}, {return_value}}), 5) << "7 - 2";
  EXPECT_EQ(value_of({{load_const, -7}, {load_const, 2}, {divide}, {return_value}}), -3) << "-7 / 2";
  EXPECT_EQ(value_of({{load_const, 7}, {load_const, -1}, {divide}, {return_value}}), -7) << "7 / -1";
  EXPECT_EQ(value_of({{load_const, 7}, {call, 0}, {return_value}}), 14) << "call of a function that doubles";
  const Instructions four_to_one_added_up = {
      {load_const, 4},  {store_global, 0},              // n = 4
      {load_global, 0}, {jump_if_zero, 9},              // while n is not 0
      {load_global, 0}, {add_to_global, 1},             // sum += n
      {load_const, -1}, {add_to_global, 0}, {jump, 2},  // n -= 1
      {load_global, 1}, {return_value},                 // 9
  };
  EXPECT_EQ(value_of(four_to_one_added_up), 10) << "a loop that adds 4, 3, 2 and 1";
}

TEST(Evaluate, HoldsTheLockWhileANativeFunctionRuns) {
  Interpreter interpreter;
  bool held = false;
  interpreter.natives = {[&](Value value) { return held = interpreter.lock.held(), value; }};
  evaluate(interpreter, {{load_const, 0}, {call, 0}, {return_value}});
  EXPECT_TRUE(held) << "a native function is called in the middle of an instruction";
}

TEST(Evaluate, GivesTheLockBackHoweverItEnds) {
  Interpreter interpreter{InterpreterLock(), {}, {[](Value) -> Value { throw std::range_error("a native function"); }}};
  evaluate(interpreter, {{load_const, 0}, {return_value}});
  EXPECT_FALSE(interpreter.lock.held()) << "the program has returned";
  EXPECT_THROW(evaluate(interpreter, {{load_const, 0}, {call, 1}}), ProgramError) << "there is no second native";
  EXPECT_FALSE(interpreter.lock.held()) << "the program was ended by an error";
  if (interpreter.lock.held()) interpreter.lock.release();
  EXPECT_THROW(evaluate(interpreter, {{load_const, 0}, {call, 0}}), std::range_error);
  EXPECT_FALSE(interpreter.lock.held()) << "the program was ended by an exception of a native function";
}

TEST(Evaluate, HasAStackThatIsLimited) {
  Interpreter interpreter;
  Program program(stack_limit, {load_const, 1});
  program.push_back({return_value});
  EXPECT_EQ(evaluate(interpreter, program), 1) << "the stack holds stack_limit values";
  program.insert(program.begin(), {load_const, 1});
  try {
    evaluate(interpreter, program);
    ADD_FAILURE() << "one value more than stack_limit, and no ProgramError";
  } catch (const ProgramError& error) {
    EXPECT_EQ(error.fault(), Fault::stack_overflow) << "one value more than stack_limit";
  }
}

TEST(Evaluate, RefusesToPopFromAnEmptyStack) {
  for (Opcode opcode : {store_global, add_to_global, add, subtract, divide, jump_if_zero, call, return_value}) {
    EXPECT_EQ(fault_of({{opcode}}), Fault::stack_underflow) << "opcode " << static_cast<int>(opcode) << ", no value";
  }
  EXPECT_EQ(fault_of({{load_const, 1}, {add}}), Fault::stack_underflow) << "add with one value on the stack";
}

TEST(Evaluate, RefusesToLeaveTheProgram) {
  EXPECT_EQ(fault_of({}), Fault::bad_jump) << "a program of no instruction";
  EXPECT_EQ(fault_of({{load_const, 1}}), Fault::bad_jump) << "a program that does not return";
  for (Value target : {Value{2}, Value{-1}, largest, smallest}) {
    EXPECT_EQ(fault_of({{jump, target}, {jump, 0}}), Fault::bad_jump) << "jump to " << target << " of 2 instructions";
    EXPECT_EQ(fault_of({{load_const, 0}, {jump_if_zero, target == 2 ? 3 : target}, {jump, 0}}), Fault::bad_jump)
        << "jump_if_zero, out of a program of 3 instructions";
  }
  EXPECT_EQ(fault_of({{load_const, 1}, {jump_if_zero, -1}, {load_const, 0}, {return_value}}), std::nullopt)
      << "a jump that is not taken does not matter";
}

TEST(Evaluate, RefusesToDivideByZero) {
  EXPECT_EQ(fault_of({{load_const, 1}, {load_const, 0}, {divide}, {return_value}}), Fault::division_by_zero);
}

TEST(Evaluate, RefusesWhatDoesNotFit) {
  auto fault_of_operation = [](Value a, Value b, Opcode operation) {
    return fault_of({{load_const, a}, {load_const, b}, {operation}, {return_value}});
  };
  EXPECT_EQ(fault_of_operation(largest, 1, add), Fault::overflow) << "the largest Value + 1";
  EXPECT_EQ(fault_of_operation(smallest, 1, subtract), Fault::overflow) << "the smallest Value - 1";
  EXPECT_EQ(fault_of_operation(smallest, -1, divide), Fault::overflow) << "the smallest Value / -1";
  EXPECT_EQ(fault_of({{load_const, largest}, {add_to_global, 0}}), Fault::overflow) << "40 + the largest Value";
}

TEST(Evaluate, RefusesWhatIsNotThere) {
  EXPECT_EQ(fault_of({{static_cast<Opcode>(200)}, {load_const, 0}, {return_value}}), Fault::unknown_opcode);
  for (Value index : {Value{2}, Value{-1}, largest, smallest}) {
    EXPECT_EQ(fault_of({{load_global, index}}), Fault::unknown_global) << "load_global " << index << " of 2";
    for (Opcode opcode : {store_global, add_to_global}) {
      EXPECT_EQ(fault_of({{load_const, 0}, {opcode, index}}), Fault::unknown_global) << "index " << index << " of 2";
    }
    EXPECT_EQ(fault_of({{load_const, 0}, {call, index == 2 ? 1 : index}}), Fault::unknown_native)
        << "1 native function";
  }
}

// The program of `counter += 1`, with a native function behind the load that waits until the lock is asked for.
TEST(Evaluate, LosesAnUpdateThatComesBetweenLoadAndStore) {
  Interpreter interpreter{impatient_lock(), {0}};
  std::jthread other;
  interpreter.natives = {[&](Value value) {
    other = std::jthread([&] {
      interpreter.lock.acquire();
      ++interpreter.globals[0];
      interpreter.lock.release();
    });
    wait_until_asked_for(interpreter.lock);
    return value;
  }};
  evaluate(interpreter, {{load_global, 0},
                         {call, 0},  // returns what it gets
                         {load_const, 1},
                         {add},
                         {store_global, 0},
                         {load_const, 0},
                         {return_value}});
  other.join();
  EXPECT_EQ(interpreter.globals[0], 1)
      << FailureKind::over_synchronised
      << "another thread asked for the lock after the load and before the store. It should have got it then, and its "
         "update should be lost; it had to wait until the store was done";
}

// A thread asks for the lock while another one is in a loop without a call.
TEST(Evaluate, LetsAnotherThreadIntoATightLoop) {
  Interpreter interpreter{impatient_lock(), {0, 0}};  // whether the loop may end, and whether it has begun
  Onlooker onlooker([&](Onlooker& it) {
    while (seen_from_outside(interpreter.globals[1]) == 0 && !it.is_over()) std::this_thread::yield();
    std::atomic<bool> let_in = false;
    std::thread other([&] {
      interpreter.lock.acquire();
      let_in = true;
      interpreter.globals[0] = 1;
      interpreter.lock.release();
    });
    while (!let_in && !interpreter.lock.drop_requested()) std::this_thread::yield();
    if (it.wait_until_asleep().what == Onlooker::busy && !let_in) {
      it.fail(FailureKind::over_synchronised, "a thread asked for the lock, and a loop goes on and on without a look");
    }
    other.join();
  });
  evaluate(interpreter,
           {{load_const, 1}, {store_global, 1}, {load_global, 0}, {jump_if_zero, 0}, {load_const, 0}, {return_value}});
  onlooker.call_is_over();
}

TEST(Evaluate, KeepsAStackForEachThread) {
  Interpreter interpreter{impatient_lock()};
  const Program two_tens = {{load_const, 10}, {load_const, 10}, {call, 0}, {add}, {return_value}};
  const Program two_ones = {{load_const, 1}, {load_const, 1}, {call, 1}, {add}, {return_value}};
  auto sum_of = [&](const Program& program) {
    try {
      return evaluate(interpreter, program);
    } catch (const ProgramError&) {
      return Value{0};
    }
  };
  Value others_sum = 0;
  std::atomic<bool> over = false;
  std::jthread other;
  interpreter.natives = {[&](Value value) {
                           other = std::jthread([&] { others_sum = sum_of(two_ones); });
                           wait_until_asked_for(interpreter.lock);
                           return value;
                         },
                         [&](Value value) {
                           while (!over && !interpreter.lock.drop_requested()) std::this_thread::yield();
                           return value;
                         }};
  EXPECT_EQ(sum_of(two_tens), 20) << "10 + 10, while another thread was in the middle of 1 + 1";
  over = true;
  other.join();
  EXPECT_EQ(others_sum, 2) << "1 + 1, while another thread was in the middle of 10 + 10";
}

INTERLEAVING_TEST(Evaluate, LosesNoUpdateInTheMiddleOfAnInstruction) {
  Interpreter interpreter{impatient_lock(), {0}};
  const Program increment = {{load_const, 1}, {add_to_global, 0}, {load_const, 0}, {return_value}};
  std::thread other([&] { evaluate(interpreter, increment); });
  evaluate(interpreter, increment);
  other.join();
  EXPECT_EQ(interpreter.globals[0], 2) << "2 threads, each with one add_to_global 1";
}

INTERLEAVING_TEST(Evaluate, KeepsTheLockUnlessItIsAskedForIt) {
  Interpreter interpreter{InterpreterLock(1h), {0}};
  interpreter.natives = {[&](Value) { return interpreter.globals[0]; }};
  std::thread other([&] {
    interpreter.lock.acquire();
    ++interpreter.globals[0];
    interpreter.lock.release();
  });
  const Value seen =
      evaluate(interpreter, {{load_const, 0}, {call, 0}, {load_const, 0}, {call, 0}, {subtract}, {return_value}});
  other.join();
  EXPECT_EQ(seen, 0) << "another thread, which had not asked, had the lock between two instructions";
}
