#pragma once

namespace interleave {

/// Whether this program is built with a sanitizer. For a test that tries every value there is: that the values come out
/// right is seen once, under plain, and a sanitizer, where a fork costs twenty times as much, needs each path but once.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool under_sanitizer = true;
#else
inline constexpr bool under_sanitizer = false;
#endif

}  // namespace interleave
