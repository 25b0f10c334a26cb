# exercise(): the one way to declare an exercise. Everything else follows from it.
#
#   exercise(01-spawn-workers [LENSES plain asan ...] [TIME_LIMIT seconds] [LIBRARIES targets...] [SOURCES files...]
#            [WEIGHT n])
#
# Called in chapters/<chapter>/CMakeLists.txt. LENSES says how the exercise is graded (default: plain asan).
# TIME_LIMIT is the watchdog of one test in seconds (default: 20). LIBRARIES are what the learner's file may use. SOURCES
# are what it is given besides headers, in the exercise's folder: compiled once for a lens, and not with each solution, so
# that a learner does not wait for a large library. WEIGHT is what it counts in a grade, a whole number (default: 1).
#
# For each lens it makes the program of the learner's file, `<slug>.<lens>`, and the programs of the solutions:
#   <slug>.stub.<lens>, <slug>.reference.<lens>, <slug>.right.<technique>.<lens>, <slug>.wrong.<mistake>.<lens>
# A wrong answer is built for the lens alone that its `caught:` line names. All of them are one test source compiled
# with another file behind `#include <spawn_workers.hpp>`. Each solution is a test of CTest with the lens as its label.
#
# <slug>.submission.<lens> is the program of a file that comes from elsewhere and that nobody trusts: the grader puts it
# into submission/ of the build tree. It is compiled as it is run, in a confinement.
#
# A fuzz.cpp beside the reference makes fuzz targets (Fuzz.cmake).

# The root that chapters/ and solutions/ stand in. The harness's tests have a small workbook of their own.
set(INTERLEAVE_ROOT "${PROJECT_SOURCE_DIR}")
set(INTERLEAVE_MANIFEST_DIRECTORY "${CMAKE_BINARY_DIR}")

# Sets `result` to the folder in which #include <spawn_workers.hpp> finds this solution.
function(name_solution target slug solution result)
  get_filename_component(directory "${solution}" DIRECTORY)
  get_filename_component(solution_name "${solution}" NAME)
  string(REPLACE "-" "_" expected_name "${slug}.hpp")
  if(NOT solution_name STREQUAL expected_name)
    # The test asks for <slug.hpp>; this file of that name hands on to the solution.
    set(directory "${CMAKE_BINARY_DIR}/solutions/${target}")
    file(CONFIGURE OUTPUT "${directory}/${expected_name}" CONTENT "#include \"${solution}\"\n" @ONLY)
  endif()
  set(${result} "${directory}" PARENT_SCOPE)
endfunction()

# Sets `result` to the objects of what the exercise is given as sources, compiled for the lens.
function(compile_given slug lens sources libraries result)
  set(${result} "" PARENT_SCOPE)
  if(NOT sources)
    return()
  endif()
  if(lens STREQUAL "explore")
    set(lens tsan)
  endif()
  set(target ${slug}.given.${lens})
  if(NOT TARGET ${target})
    add_library(${target} OBJECT EXCLUDE_FROM_ALL ${sources})
    target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_BINARY_DIR}")
    target_link_libraries(${target} PRIVATE lens_${lens} warnings ${libraries})
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  set(${result} "$<TARGET_OBJECTS:${target}>" PARENT_SCOPE)
endfunction()

# One test program: the exercise's test compiled around one solution. `given` are objects to link.
function(add_test_program target lens slug test_source solution libraries given)
  # For what the chapter gives to several exercises: #include <given/interpreter_lock.hpp>
  set(chapter_directory "${CMAKE_CURRENT_SOURCE_DIR}")
  set(output "${CMAKE_BINARY_DIR}/programs/${slug}/${target}")
  name_solution(${target} ${slug} "${solution}" include_directory)

  if(lens STREQUAL "tsan" OR lens STREQUAL "explore")
    # Compiled once, linked for either lens.
    string(REGEX REPLACE "[.][a-z]+$" ".instrumented" compiled "${target}")
    if(NOT TARGET ${compiled})
      add_library(${compiled} OBJECT EXCLUDE_FROM_ALL "${test_source}")
      target_include_directories(${compiled} PRIVATE "${include_directory}" "${chapter_directory}")
      target_link_libraries(${compiled} PRIVATE exercise_tsan warnings ${libraries})
      target_precompile_headers(${compiled} REUSE_FROM exercise_tsan)
    endif()
    add_executable(${target} EXCLUDE_FROM_ALL $<TARGET_OBJECTS:${compiled}> ${given})
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
    target_link_libraries(${target} PRIVATE exercise_${lens} ${libraries})
    if(lens STREQUAL "explore")
      target_link_libraries(${target} PRIVATE explorer)
    endif()
  else()
    set(compiled ${target})
    add_executable(${target} EXCLUDE_FROM_ALL "${test_source}" ${given})
    target_include_directories(${target} PRIVATE "${include_directory}" "${chapter_directory}")
    target_link_libraries(${target} PRIVATE exercise_${lens} warnings ${libraries})
    target_precompile_headers(${target} REUSE_FROM exercise_${lens})
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/programs/${slug}")
  set(compiled ${compiled} PARENT_SCOPE)
endfunction()

# What somebody else wrote: `confine` compiles it (harness/grader/confine_main.cpp).
function(add_submission_program target lens slug test_source solution libraries given)
  add_test_program(${target} ${lens} ${slug} "${test_source}" "${solution}" "${libraries}" "${given}")
  set_target_properties(${compiled} PROPERTIES CXX_COMPILER_LAUNCHER
    "$<TARGET_FILE:confine>;${PROJECT_SOURCE_DIR}/harness;${CMAKE_CURRENT_SOURCE_DIR};${CMAKE_BINARY_DIR}/harness;${CMAKE_BINARY_DIR}/submission;--")
  add_dependencies(${compiled} confine)
endfunction()

# A solution of the workbook's own: a program that must not warn, and a test of CTest that the grader's verdict on it
# is what it should be.
function(add_gallery_program target lens slug id test_source solution libraries given)
  add_test_program(${target} ${lens} ${slug} "${test_source}" "${solution}" "${libraries}" "${given}")
  target_compile_options(${compiled} PRIVATE -Werror)
  if(NOT target MATCHES "[.]reference[.]" AND NOT lens STREQUAL "explore")
    # Nobody steps through these in a debugger. Lines are enough for the verdict, and there are hundreds to build.
    target_compile_options(${compiled} PRIVATE -gline-tables-only)
  endif()
  add_dependencies(${lens} ${target})
  file(RELATIVE_PATH name "${INTERLEAVE_ROOT}/solutions" "${solution}")
  add_test(NAME "${name} (${lens})" COMMAND learn prove --no-build --lens ${lens} "${solution}")
  set_tests_properties("${name} (${lens})" PROPERTIES LABELS ${lens} TIMEOUT 300
    ENVIRONMENT "INTERLEAVE_WORKBOOK=${INTERLEAVE_MANIFEST_DIRECTORY}")
endfunction()

function(exercise directory)
  cmake_parse_arguments(PARSE_ARGV 1 EXERCISE "" "TIME_LIMIT;WEIGHT" "LENSES;LIBRARIES;SOURCES")
  if(EXERCISE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "exercise(${directory}): unknown: ${EXERCISE_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT EXERCISE_LENSES)
    set(EXERCISE_LENSES plain asan)
  endif()
  if(NOT EXERCISE_TIME_LIMIT)
    set(EXERCISE_TIME_LIMIT 20)
  endif()
  if(NOT DEFINED EXERCISE_WEIGHT)
    set(EXERCISE_WEIGHT 1)
  elseif(NOT EXERCISE_WEIGHT MATCHES "^[1-9][0-9]?[0-9]?$")
    message(FATAL_ERROR "exercise(${directory}): WEIGHT ${EXERCISE_WEIGHT} is no whole number from 1 to 999")
  endif()

  get_filename_component(chapter "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  if(NOT directory MATCHES "^0*([1-9][0-9]*)-(.+)$")
    message(FATAL_ERROR "exercise(${directory}): the folder's name must be <number>-<slug>")
  endif()
  set(number "${CMAKE_MATCH_1}")
  set(slug "${CMAKE_MATCH_2}")
  string(REGEX REPLACE "^0*([1-9][0-9]*)-.*$" "\\1" chapter_number "${chapter}")
  set(id "${chapter_number}.${number}")
  string(REPLACE "-" "_" base "${slug}")

  set(folder "${CMAKE_CURRENT_SOURCE_DIR}/${directory}")
  set(solutions "${INTERLEAVE_ROOT}/solutions/${chapter}/${directory}")
  set(test_source "${folder}/${base}_test.cpp")
  set(submission "${CMAKE_BINARY_DIR}/submission/${slug}/${base}.hpp")

  # Files that come and go change the set of targets, and they change the folder that they are in.
  foreach(kind right wrong)
    if(IS_DIRECTORY "${solutions}/${kind}")
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${solutions}/${kind}")
    endif()
  endforeach()
  list(TRANSFORM EXERCISE_SOURCES PREPEND "${folder}/")
  file(GLOB right "${solutions}/right/*.hpp")
  file(GLOB wrong "${solutions}/wrong/*.hpp")

  foreach(lens IN LISTS EXERCISE_LENSES)
    compile_given(${slug} ${lens} "${EXERCISE_SOURCES}" "${EXERCISE_LIBRARIES}" given)
    add_test_program(${slug}.${lens} ${lens} ${slug} "${test_source}" "${folder}/${base}.hpp" "${EXERCISE_LIBRARIES}" "${given}")
    add_submission_program(${slug}.submission.${lens} ${lens} ${slug} "${test_source}" "${submission}" "${EXERCISE_LIBRARIES}" "${given}")
    add_gallery_program(${slug}.stub.${lens} ${lens} ${slug} ${id} "${test_source}" "${solutions}/stub.hpp" "${EXERCISE_LIBRARIES}" "${given}")
    add_gallery_program(${slug}.reference.${lens} ${lens} ${slug} ${id} "${test_source}" "${solutions}/${base}.hpp" "${EXERCISE_LIBRARIES}" "${given}")
    foreach(solution IN LISTS right)
      get_filename_component(name "${solution}" NAME_WE)
      add_gallery_program(${slug}.right.${name}.${lens} ${lens} ${slug} ${id} "${test_source}" "${solution}" "${EXERCISE_LIBRARIES}" "${given}")
    endforeach()
  endforeach()
  foreach(solution IN LISTS wrong)
    get_filename_component(name "${solution}" NAME_WE)
    # "// caught: <lens>, <Suite.Test>, <kind of failure>"
    file(STRINGS "${solution}" caught REGEX "^// caught: " LIMIT_COUNT 1)
    string(REGEX REPLACE "^// caught: ([a-z]+),.*$" "\\1" lens "${caught}")
    if(NOT lens IN_LIST EXERCISE_LENSES)
      message(FATAL_ERROR "${solution}: needs a line '// caught: <lens>, <Suite.Test>, <kind>' with one of: ${EXERCISE_LENSES}")
    endif()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${solution}")
    compile_given(${slug} ${lens} "${EXERCISE_SOURCES}" "${EXERCISE_LIBRARIES}" given)
    add_gallery_program(${slug}.wrong.${name}.${lens} ${lens} ${slug} ${id} "${test_source}" "${solution}" "${EXERCISE_LIBRARIES}" "${given}")
  endforeach()

  fuzz_targets(${slug} "${solutions}" "${EXERCISE_LIBRARIES}" fuzz)
  list(JOIN fuzz "\", \"" fuzz)
  if(fuzz)
    set(fuzz "\"${fuzz}\"")
  endif()

  # How the test support wants to be linked, for the bare build that the latency benchmark compares with.
  set(link_options "")
  foreach(library exercise_plain ${EXERCISE_LIBRARIES})
    get_target_property(options ${library} INTERFACE_LINK_OPTIONS)
    if(options)
      list(APPEND link_options ${options})
    endif()
  endforeach()
  list(JOIN link_options "\", \"" link_options)
  list(JOIN EXERCISE_LENSES "\", \"" lenses)
  set(entry "{\"id\": \"${id}\", \"slug\": \"${slug}\", \"folder\": \"chapters/${chapter}/${directory}\", \"solutions\": \"solutions/${chapter}/${directory}\", \"lenses\": [\"${lenses}\"], \"time_limit\": ${EXERCISE_TIME_LIMIT}, \"weight\": ${EXERCISE_WEIGHT}, \"link_options\": [\"${link_options}\"], \"fuzz\": [${fuzz}]}")
  set_property(GLOBAL APPEND PROPERTY "INTERLEAVE_MANIFEST ${INTERLEAVE_ROOT}" "${entry}")
endfunction()

# What the tool reads: every exercise under INTERLEAVE_ROOT, in the order of declaration.
function(write_manifest)
  get_property(entries GLOBAL PROPERTY "INTERLEAVE_MANIFEST ${INTERLEAVE_ROOT}")
  list(JOIN entries ",\n    " entries)
  file(CONFIGURE OUTPUT "${INTERLEAVE_MANIFEST_DIRECTORY}/manifest.json" @ONLY CONTENT
"{
  \"source\": \"${INTERLEAVE_ROOT}\",
  \"build\": \"${CMAKE_BINARY_DIR}\",
  \"compiler\": \"${CMAKE_CXX_COMPILER}\",
  \"exercises\": [
    ${entries}
  ]
}
")
endfunction()
