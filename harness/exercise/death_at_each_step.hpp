#pragma once

#include <cstddef>
#include <functional>
#include <source_location>
#include <span>
#include <string>

namespace interleave {

/// Why no process can be made to go step by step here (ptrace(2)); empty where it can. For GTEST_SKIP().
std::string why_no_steps();

/// Runs `body` in a child process that is killed (SIGKILL) before its first step, and in others that are killed after
/// the first step that others could notice, after the second, and so on, until one comes to the end of `body`. After
/// each death the child has been waited for, and `check` is called here, with false; and with true after the end. So
/// every state that `body` can leave behind is seen, by construction: no sleep, no luck.
///
///   die_at_each_step(segment, [&] { new (memory) Lock; state = {}; }, [&] { change(); }, [&](bool finished) { ... });
///
/// A step is one instruction. After it others notice something if a byte of `shared` has another value, if the list of
/// locks that the kernel unlocks after a death has changed (get_robust_list(2)), or if it was a system call. A death
/// after any other instruction leaves the same behind as one at the last of these steps, so none is left out.
///
/// `prepare` is called in this process before each child is started. It makes all of them start from the same state.
/// `body` does the same each time and ends by itself, has no other threads, and returns; no assertions in it. Stops
/// when the test has failed. Returns how many children were killed.
///
/// Under a sanitizer, which makes a hundred instructions of one, only deaths at system calls: that the states come out
/// right is seen under plain.
int die_at_each_step(std::span<const std::byte> shared, const std::function<void()>& prepare,
                     const std::function<void()>& body, const std::function<void(bool finished)>& check,
                     std::source_location where = std::source_location::current());

/// The system calls that `body` makes, in a child process, in which it is called.
int system_calls_of(const std::function<void()>& body, std::source_location where = std::source_location::current());

}  // namespace interleave
