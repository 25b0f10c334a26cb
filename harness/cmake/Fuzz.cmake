# fuzz_targets(): inputs that a peer might send, invented by libFuzzer. exercise() calls it; a folder of solutions/ that
# has a fuzz.cpp gets
#   <slug>.fuzz             fuzz.cpp with the reference
#   <slug>.fuzz.<mistake>   fuzz.cpp with each wrong answer that has a line "// fuzzed: found"
#
# fuzz.cpp includes the solution by name (#include <framed_pipe.hpp>), defines LLVMFuzzerTestOneInput, and calls abort()
# when an answer is not what it must be. Each program is a test of CTest with the label fuzz: it runs every input in
# corpus/, and then inputs made from those, a number that is fixed, from a seed that is fixed. The reference must pass
# and the mistakes must be found. The corpus changes by hand only: nothing is written there.

set(INTERLEAVE_FUZZ_RUNS 50000)

add_custom_target(fuzz)
# Part of compiler-rt, as the sanitizers are; asked for because a distribution may leave it out.
execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -print-resource-dir OUTPUT_VARIABLE resources OUTPUT_STRIP_TRAILING_WHITESPACE)
file(GLOB INTERLEAVE_LIBFUZZER "${resources}/lib/*/libclang_rt.fuzzer*.a")

# Sets `result` to the names of the programs, which are the names of the tests too.
function(fuzz_targets slug solutions libraries result)
  set(${result} "" PARENT_SCOPE)
  # Files that come and go change the folder that they are in.
  foreach(directory "${solutions}" "${solutions}/corpus")
    if(IS_DIRECTORY "${directory}")
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${directory}")
    endif()
  endforeach()
  if(NOT EXISTS "${solutions}/fuzz.cpp" OR NOT INTERLEAVE_LIBFUZZER)
    return()
  endif()
  string(REPLACE "-" "_" base "${slug}")
  set(targets ${slug}.fuzz)
  add_fuzz_program(${slug}.fuzz ${slug} "${solutions}" "${solutions}/${base}.hpp" "${libraries}")

  file(GLOB wrong "${solutions}/wrong/*.hpp")
  foreach(solution IN LISTS wrong)
    file(STRINGS "${solution}" found REGEX "^// fuzzed: found$" LIMIT_COUNT 1)
    if(found)
      get_filename_component(name "${solution}" NAME_WE)
      set(target ${slug}.fuzz.${name})
      list(APPEND targets ${target})
      add_fuzz_program(${target} ${slug} "${solutions}" "${solution}" "${libraries}")
      # What libFuzzer and the sanitizers end with when they have found something. The exit status does not count then.
      set_tests_properties("${target}" PROPERTIES PASS_REGULAR_EXPRESSION "SUMMARY: ")
    endif()
  endforeach()
  set(${result} "${targets}" PARENT_SCOPE)
endfunction()

function(add_fuzz_program target slug solutions solution libraries)
  add_executable(${target} EXCLUDE_FROM_ALL "${solutions}/fuzz.cpp")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/programs/${slug}")
  name_solution(${target} ${slug} "${solution}" include_directory)
  # For what the chapter gives to several exercises: #include <given/name.hpp>
  target_include_directories(${target} PRIVATE "${include_directory}" "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE lens_fuzz warnings ${libraries})
  target_compile_options(${target} PRIVATE -Werror)
  add_dependencies(fuzz ${target})

  file(GLOB corpus "${solutions}/corpus/*")
  list(JOIN corpus "," corpus)
  # An input that fails is kept beside the program, as <target>.crash-<hash>.
  add_test(NAME "${target}"
    COMMAND ${target} -runs=${INTERLEAVE_FUZZ_RUNS} -seed=1 "-seed_inputs=${corpus}" -malloc_limit_mb=64 -timeout=60 -verbosity=0
      "-artifact_prefix=${CMAKE_BINARY_DIR}/programs/${slug}/${target}.")
  set_tests_properties("${target}" PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()
