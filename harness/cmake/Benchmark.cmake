# chapter_benchmark(): the one way to declare what a chapter measures.
#
#   chapter_benchmark(benchmark.cpp [LIBRARIES targets...])
#
# Called in chapters/<chapter>/CMakeLists.txt. Makes the program `<chapter>.bench`, as 01-processes.bench, in the lens
# `bench`: build/programs/benchmarks/<chapter>.bench. From pool_benchmark.cpp it makes `<chapter>.pool.bench`. CTest runs
# it for a moment, so that it does not rot. It can include the references of the chapter's exercises by name: #include
# <mutex.hpp>. The source may bring a main function, to add to what Google Benchmark prints. LIBRARIES are what the references are compared with, if that is more than the standard library.

# Before 1.8 the time was a bare number; since then it has a unit.
set(INTERLEAVE_MOMENT 0.01s)
if(benchmark_VERSION VERSION_LESS 1.8)
  set(INTERLEAVE_MOMENT 0.01)
endif()

function(chapter_benchmark source)
  cmake_parse_arguments(PARSE_ARGV 1 BENCHMARK "" "" "LIBRARIES")
  if(BENCHMARK_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "chapter_benchmark(${source}): unknown: ${BENCHMARK_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT source MATCHES "^(([a-z_]+)_)?benchmark[.]cpp$")
    message(FATAL_ERROR "chapter_benchmark(${source}): the file must be benchmark.cpp or <topic>_benchmark.cpp")
  endif()
  get_filename_component(chapter "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  set(target "${chapter}.bench")
  if(CMAKE_MATCH_2)
    set(target "${chapter}.${CMAKE_MATCH_2}.bench")
  endif()
  string(REGEX REPLACE "[.]bench$" " (bench)" test "${target}")
  add_executable(${target} EXCLUDE_FROM_ALL "${source}")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/programs/benchmarks")
  target_link_libraries(${target} PRIVATE lens_bench warnings benchmark::benchmark_main ${BENCHMARK_LIBRARIES})
  target_compile_options(${target} PRIVATE -Werror)
  file(GLOB references "${PROJECT_SOURCE_DIR}/solutions/${chapter}/*")
  target_include_directories(${target} PRIVATE ${references} "${CMAKE_CURRENT_SOURCE_DIR}")
  add_dependencies(bench ${target})

  add_test(NAME "${test}" COMMAND ${target} --benchmark_min_time=${INTERLEAVE_MOMENT})
  set_tests_properties("${test}" PROPERTIES LABELS bench TIMEOUT 300)
endfunction()
