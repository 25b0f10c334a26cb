#pragma once

namespace explorer {

/// Runs the destructors of the current thread's pthread keys, as a thread does when it ends (pthread_key_create(3)).
void run_key_destructors();

/// What the kernel does when a thread ends that holds robust mutexes: whoever locks them next is told.
void abandon_robust_mutexes();

}  // namespace explorer
