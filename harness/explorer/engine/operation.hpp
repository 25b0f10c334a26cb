#pragma once

#include <cstdint>

namespace explorer {

/// What a thread is about to do at a place where the schedule may switch, and what a trace says that it did.
enum class OperationKind : std::uint8_t {
  start,
  finish,
  create,
  join,
  lock,
  try_lock,
  unlock,
  wait,
  notify_one,
  notify_all,
  woken,
  timed_out,
  spurious,
  load,
  store,
  exchange,  // any read-modify-write
  compare,   // one that did not write, because it found another value
  fail,      // a weak one that will not write, for no reason
  fence,
  futex_wait,
  futex_wake,
  semaphore_wait,
  semaphore_post,
  read_lock,
  write_lock,
  read_write_unlock,
  barrier,
  once,
  guard,
  yield,
  sleep,
  read,
  write,
  free,
};

const char* name_of(OperationKind kind);

struct Operation {
  OperationKind kind = OperationKind::start;
  bool writes = false;                    // two operations on one object are independent if neither writes
  const volatile void* object = nullptr;  // none: independent of every other
};

}  // namespace explorer
