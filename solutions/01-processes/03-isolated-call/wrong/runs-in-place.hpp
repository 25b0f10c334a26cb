// Calls the function where it stands and catches what it throws: values and exceptions come out right, but there is
// no second process, so every write and every crash is the caller's own.
// caught: plain, IsolatedCall.LeavesTheMemoryOfTheCallerAlone, wrong answer

#pragma once

#include <exception>
#include <functional>
#include <string>
#include <variant>

struct Returned {
  std::string value;
};

struct Threw {
  std::string message;
};

struct Crashed {
  int signal;
};

struct Exited {
  int status;
};

using IsolatedResult = std::variant<Returned, Threw, Crashed, Exited>;

inline IsolatedResult isolated_call(const std::function<std::string()>& function) {
  try {
    return Returned{function()};
  } catch (const std::exception& exception) {
    return Threw{exception.what()};
  } catch (...) {
    return Threw{"unknown exception"};
  }
}
