# The compiler of the workbook: Clang 19 where it is, else the newest of 18 to 21. Set CXX to choose another.
if(NOT DEFINED CMAKE_CXX_COMPILER AND NOT DEFINED ENV{CXX})
  find_program(INTERLEAVE_CLANG NAMES clang++-19 clang++-21 clang++-20 clang++-18 clang++ REQUIRED)
  set(CMAKE_CXX_COMPILER "${INTERLEAVE_CLANG}" CACHE FILEPATH "Clang 18 or newer")
endif()
