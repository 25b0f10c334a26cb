# chapter_benchmark(): the one way to declare what a chapter measures.
#
#   chapter_benchmark(benchmark.cpp [more.cpp ...])
#
# Called in chapters/<chapter>/CMakeLists.txt. Makes the program `<chapter>.bench`, as 01-processes.bench, in the lens
# `bench`: build/programs/benchmarks/<chapter>.bench. CTest runs it for a moment, so that it does not rot. It can
# include the references of the chapter's exercises by name: #include <mutex.hpp>. A source may bring a main function,
# to add to what Google Benchmark prints.

# Before 1.8 the time was a bare number; since then it has a unit.
set(INTERLEAVE_MOMENT 0.01s)
if(benchmark_VERSION VERSION_LESS 1.8)
  set(INTERLEAVE_MOMENT 0.01)
endif()

function(chapter_benchmark source)
  get_filename_component(chapter "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  set(target "${chapter}.bench")
  add_executable(${target} EXCLUDE_FROM_ALL "${source}" ${ARGN})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/programs/benchmarks")
  target_link_libraries(${target} PRIVATE lens_bench warnings benchmark::benchmark_main)
  target_compile_options(${target} PRIVATE -Werror)
  file(GLOB references "${PROJECT_SOURCE_DIR}/solutions/${chapter}/*")
  target_include_directories(${target} PRIVATE ${references} "${CMAKE_CURRENT_SOURCE_DIR}")
  add_dependencies(bench ${target})

  add_test(NAME "${chapter} (bench)" COMMAND ${target} --benchmark_min_time=${INTERLEAVE_MOMENT})
  set_tests_properties("${chapter} (bench)" PROPERTIES LABELS bench TIMEOUT 300)
endfunction()
