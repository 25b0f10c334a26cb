#pragma once

namespace interleave {

/// Has the supervisor told where the test process was when a signal ended it. Handlers pass the signal on, so the
/// process still ends by it; a child process, or a program that a child becomes, reports nothing. Sanitizers report
/// memory faults themselves and keep those signals.
void report_crashes();

}  // namespace interleave
