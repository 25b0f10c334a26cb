#pragma once

namespace explorer {

/// Crashes, terminate handlers and loops without an end, in the process that explores, from now on.
void watch_for_ends();

}  // namespace explorer
