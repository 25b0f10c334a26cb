#pragma once

#include <source_location>
#include <type_traits>
#include <utility>

namespace interleave {

/// Ends the process with a report if it is not the one that runs the tests: a child came back out of the learner's
/// code. `why` says how: by returning or by an exception.
void stop_stray_child(std::source_location where, const char* why);

/// Calls the learner's function, and stops on the spot a child process that comes out of it, by return or by
/// exception, before it runs the rest of the test a second time.
///
///   auto reports = in_parent([&] { return spawn_workers(4, work); });
template <typename Function>
auto in_parent(Function&& function, std::source_location where = std::source_location::current())
    -> std::invoke_result_t<Function> {
  struct Watch {
    std::source_location where;
    const char* why = "by an exception";
    ~Watch() { stop_stray_child(where, why); }
  } watch{where};
  if constexpr (std::is_void_v<std::invoke_result_t<Function>>) {
    std::forward<Function>(function)();
    watch.why = "by return";
  } else {
    std::invoke_result_t<Function> result = std::forward<Function>(function)();
    watch.why = "by return";
    return result;
  }
}

}  // namespace interleave
