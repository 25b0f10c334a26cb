#pragma once

// What a test of an exercise includes, and what every test program has precompiled.

#if __has_feature(thread_sanitizer)  // what the explorer needs to come first
#include "explorer/weak_exchange.hpp"
#endif

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <semaphore>
#include <set>
#include <shared_mutex>
#include <source_location>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exercise/descriptor_table.hpp"
#include "exercise/descriptor_watch.hpp"
#include "exercise/failing_fork.hpp"
#include "exercise/failure_kind.hpp"
#include "exercise/in_parent.hpp"
#include "exercise/interleaving_test.hpp"
#include "exercise/not_done.hpp"
#include "exercise/onlooker.hpp"
#include "exercise/rendezvous.hpp"
#include "exercise/sanitizer.hpp"
#include "exercise/shared.hpp"
