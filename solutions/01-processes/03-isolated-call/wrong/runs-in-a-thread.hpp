// Takes a thread for a second process: std::async brings the value and the exception back in a line, but a thread
// shares all memory with its caller, and a crash takes both.
// caught: plain, IsolatedCall.LeavesTheMemoryOfTheCallerAlone, wrong answer

#pragma once

#include <exception>
#include <functional>
#include <future>
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
  std::future<std::string> future = std::async(std::launch::async, function);
  try {
    return Returned{future.get()};
  } catch (const std::exception& exception) {
    return Threw{exception.what()};
  } catch (...) {
    return Threw{"unknown exception"};
  }
}
