#pragma once

namespace explorer {

/// Runs the destructors of the current thread's pthread keys, as a thread does when it ends (pthread_key_create(3)).
void run_key_destructors();

}  // namespace explorer
