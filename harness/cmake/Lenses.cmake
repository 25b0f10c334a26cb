# A lens is a way to look at a solution: how it is compiled and linked. This file is the only one that knows the flags.
#
# For each lens L there are:
#   lens_L       interface library: the flags
#   exercise_L   the test support (harness/exercise) built with them; test programs link it and reuse its
#                precompiled header
#   L            builds every program of the lens (what the build preset L names)

set(INTERLEAVE_LENSES plain tsan asan explore bench)
set(INTERLEAVE_LENS_LINES "")

add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)

# The sanitizer runtimes are linked statically by Clang, so a program starts without searching for them.
# What the learner waits for is code generation, so no lens does more of it than its verdict needs: nothing is optimised,
# away or otherwise, and every frame of a stack is one of the source. What an optimiser makes of a race is no test's to
# find by luck; tsan and explore find the race.
set(lens_plain_flags -O0)
set(lens_tsan_flags -O0 -fsanitize=thread)
set(lens_asan_flags -O0 -fsanitize=address,undefined -fno-sanitize-recover=undefined)
# Of the harness's own part. What the learner wrote is compiled as under tsan, once for both lenses (Exercise.cmake), and
# linked with the explorer where ThreadSanitizer's runtime would be.
set(lens_explore_flags -O1)
set(lens_bench_flags -O3 -DNDEBUG)

foreach(lens IN LISTS INTERLEAVE_LENSES)
  add_library(lens_${lens} INTERFACE)
  # Frame pointers keep a learner's line in every stack that is shown; libdw finds lines by the address ranges.
  # A debugger is for plain; a timeline names variables; what asan reports needs lines alone.
  set(debug_information -g)
  if(lens STREQUAL "asan")
    set(debug_information -gline-tables-only)
  endif()
  target_compile_options(lens_${lens} INTERFACE ${lens_${lens}_flags} ${debug_information} -gdwarf-aranges -fno-omit-frame-pointer)
  target_link_options(lens_${lens} INTERFACE ${lens_${lens}_flags} -fuse-ld=lld)
  target_link_libraries(lens_${lens} INTERFACE Threads::Threads)
  add_custom_target(${lens})
endforeach()

# The harness's own programs that the explorer explores: instrumented, but linked without ThreadSanitizer's runtime.
add_library(instrumented INTERFACE)
target_compile_options(instrumented INTERFACE -O1 -g -fno-omit-frame-pointer -fsanitize=thread)
target_link_options(instrumented INTERFACE -fuse-ld=lld)

# What Fuzz.cmake makes. The fuzzer brings the main function.
add_library(lens_fuzz INTERFACE)
target_compile_options(lens_fuzz INTERFACE -O1 -gline-tables-only -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined
  -fno-sanitize-recover=undefined)
target_link_options(lens_fuzz INTERFACE -fsanitize=fuzzer,address,undefined -fuse-ld=lld)
target_link_libraries(lens_fuzz INTERFACE Threads::Threads)
