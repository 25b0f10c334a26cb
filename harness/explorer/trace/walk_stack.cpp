#include <unwind.h>

#include "explorer/trace/outcome.hpp"

namespace explorer {

namespace {

struct Walk {
  Frame* frames;
  int count, capacity;
};

_Unwind_Reason_Code visit(_Unwind_Context* context, void* data) {
  Walk& walk = *static_cast<Walk*>(data);
  int before = 0;
  std::uintptr_t pc = _Unwind_GetIPInfo(context, &before);
  if (pc == 0) return _URC_END_OF_STACK;
  // What is called CFA here is the stack pointer at the call: the canonical frame address of the function called.
  if (walk.count > 0) walk.frames[walk.count - 1].cfa = _Unwind_GetCFA(context);
  // A return address is behind the call.
  walk.frames[walk.count++] = {before != 0 ? pc : pc - 1, 0};
  return walk.count == walk.capacity ? _URC_END_OF_STACK : _URC_NO_REASON;
}

}  // namespace

int walk_stack(Frame* frames, int capacity) {
  Walk walk{frames, 0, capacity};
  _Unwind_Backtrace(visit, &walk);
  return walk.count;
}

}  // namespace explorer
