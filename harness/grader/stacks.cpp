#include "grader/stacks.hpp"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "grader/program_file.hpp"

namespace interleave {

namespace {

std::string demangle(const char* name) {
  if (name == nullptr) return "";
  int status = 0;
  char* plain = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 && plain != nullptr ? plain : name;
  std::free(plain);
  return result;
}

// The name of a function's or an inlined call's DIE, with what it was declared in where the linkage name tells.
std::string name_of(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  Dwarf_Attribute* linkage = dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute);
  if (linkage != nullptr) return demangle(dwarf_formstring(linkage));
  const char* name = dwarf_diename(die);
  return name != nullptr ? name : "";
}

// All frames at one program counter: the inlined calls, then the function that holds them.
std::vector<Frame> frames_at(Dwfl_Module* module, Dwarf_Addr address) {
  std::vector<Frame> frames;
  Dwarf_Addr bias = 0;
  Dwarf_Die* unit = dwfl_module_addrdie(module, address, &bias);
  Frame here;
  if (Dwfl_Line* line = dwfl_module_getsrc(module, address)) {
    here.file = absolute_file(unit, dwfl_lineinfo(line, nullptr, &here.line, nullptr, nullptr, nullptr));
  }
  // The innermost scope at the address, then what encloses it in the program; dwarf_getscopes() alone would go on with
  // what encloses the inlined function in the source.
  Dwarf_Die* innermost = nullptr;
  Dwarf_Die* scopes = nullptr;
  int count = unit == nullptr ? 0 : dwarf_getscopes(unit, address - bias, &innermost);
  if (count > 0) count = dwarf_getscopes_die(&innermost[0], &scopes);
  std::free(innermost);
  for (int i = 0; i < count; ++i) {
    int tag = dwarf_tag(&scopes[i]);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
    here.function = name_of(&scopes[i]);
    frames.push_back(here);
    if (tag == DW_TAG_subprogram) break;
    // The next frame stands where this call was inlined.
    here = {};
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    if (dwarf_formudata(dwarf_attr(&scopes[i], DW_AT_call_line, &attribute), &value) == 0)
      here.line = static_cast<int>(value);
    Dwarf_Files* files = nullptr;
    if (dwarf_formudata(dwarf_attr(&scopes[i], DW_AT_call_file, &attribute), &value) == 0 &&
        dwarf_getsrcfiles(unit, &files, nullptr) == 0) {
      here.file = absolute_file(unit, dwarf_filesrc(files, value, nullptr, nullptr));
    }
  }
  std::free(scopes);
  if (frames.empty()) {
    here.function = demangle(dwfl_module_addrname(module, address));
    frames.push_back(here);
  }
  return frames;
}

const Dwfl_Callbacks live_callbacks = {dwfl_linux_proc_find_elf, dwfl_standard_find_debuginfo, nullptr, nullptr};

constexpr std::size_t deepest_stack = 64;

struct Walk {
  Dwfl* dwfl;
  std::vector<Frame> frames;
};

int visit_frame(Dwfl_Frame* frame, void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  Dwarf_Addr address = 0;
  bool exact = false;  // a return address points behind its call
  if (!dwfl_frame_pc(frame, &address, &exact)) return DWARF_CB_ABORT;
  if (!exact) --address;
  if (Dwfl_Module* module = dwfl_addrmodule(walk.dwfl, address)) {
    for (Frame& each : frames_at(module, address)) walk.frames.push_back(std::move(each));
  }
  return walk.frames.size() < deepest_stack ? DWARF_CB_OK : DWARF_CB_ABORT;
}

}  // namespace

std::vector<Frame> stack_of(pid_t process, pid_t thread) {
  Walk walk{dwfl_begin(&live_callbacks), {}};
  if (walk.dwfl == nullptr) return {};
  if (dwfl_linux_proc_report(walk.dwfl, process) == 0 && dwfl_report_end(walk.dwfl, nullptr, nullptr) == 0 &&
      dwfl_linux_proc_attach(walk.dwfl, process, false) == 0) {
    dwfl_getthread_frames(walk.dwfl, thread, visit_frame, &walk);
  }
  dwfl_end(walk.dwfl);
  return walk.frames;
}

struct Symbolizer::Files {
  std::map<std::string, ProgramFile> opened;
};

Symbolizer::Symbolizer() : files_(std::make_unique<Files>()) {}
Symbolizer::~Symbolizer() = default;

std::vector<Frame> Symbolizer::frames_at(const std::string& program, std::uint64_t offset) {
  const ProgramFile& file = files_->opened.try_emplace(program, program).first->second;
  if (file.module == nullptr) return {};
  return interleave::frames_at(file.module, file.start + offset);
}

}  // namespace interleave
