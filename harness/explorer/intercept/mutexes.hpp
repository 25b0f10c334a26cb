#pragma once

#include <pthread.h>

namespace explorer {

// For condition variables. Without a place to switch.
void unlock_mutex(pthread_mutex_t* mutex);
void take_mutex(pthread_mutex_t* mutex);
bool owns_mutex(pthread_mutex_t* mutex);
bool is_robust(const pthread_mutex_t* mutex);

}  // namespace explorer
