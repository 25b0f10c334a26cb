#include "grader/program_file.hpp"

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <filesystem>

namespace interleave {

namespace {

const Dwfl_Callbacks callbacks = {dwfl_build_id_find_elf, dwfl_standard_find_debuginfo, dwfl_offline_section_address,
                                  nullptr};

}  // namespace

ProgramFile::ProgramFile(const std::string& path) : dwfl(dwfl_begin(&callbacks), &dwfl_end) {
  if (dwfl == nullptr) return;
  dwfl_report_begin(dwfl.get());
  module = dwfl_report_offline(dwfl.get(), path.c_str(), path.c_str(), -1);
  dwfl_report_end(dwfl.get(), nullptr, nullptr);
  if (module != nullptr) dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
}

std::string absolute_file(Dwarf_Die* unit, const char* file) {
  if (file == nullptr || *file == '/' || unit == nullptr) return file == nullptr ? "" : file;
  Dwarf_Attribute attribute;
  const char* directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
  return directory == nullptr ? file : (std::filesystem::path(directory) / file).lexically_normal().string();
}

}  // namespace interleave
