#pragma once

#include <elfutils/libdwfl.h>

#include <memory>
#include <string>

namespace interleave {

/// The debug information of a program's file, opened with libdw; for the files of the grader that read it.
struct ProgramFile {
  explicit ProgramFile(const std::string& path);

  std::unique_ptr<Dwfl, decltype(&dwfl_end)> dwfl;
  Dwfl_Module* module = nullptr;  // null if the file cannot be read
  Dwarf_Addr start = 0;           // of the module, in libdwfl's own address space
};

/// A file as debug information names it, made absolute by the directory that its unit was compiled in.
std::string absolute_file(Dwarf_Die* unit, const char* file);

}  // namespace interleave
