#include "grader/variables.hpp"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "grader/program_file.hpp"

namespace interleave {

struct Variables::Local {
  std::string name;
  std::int64_t offset;  // from the canonical frame address
  std::uint64_t size;
  Dwarf_Die type;
};

namespace {

// Behind the frame base of code that was not optimised (the frame pointer, on x86-64 and on aarch64) lie the caller's
// frame pointer and the return address; then comes the canonical frame address.
constexpr std::int64_t frame_record = 16;
#if defined(__x86_64__)
constexpr unsigned frame_pointer = DW_OP_reg6;
#else
constexpr unsigned frame_pointer = DW_OP_reg29;
#endif

std::optional<Dwarf_Die> type_of(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  Dwarf_Die type;
  if (dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), &type) == nullptr) return std::nullopt;
  Dwarf_Die plain;  // without const, volatile and typedef
  if (dwarf_peel_type(&type, &plain) != 0) return std::nullopt;
  return plain;
}

std::uint64_t size_of(Dwarf_Die type) {
  Dwarf_Word size = 0;
  return dwarf_aggregate_size(&type, &size) == 0 ? size : 0;
}

// Whether an object of this size, 0 if it is not known, reaches so far behind its begin.
bool reaches(std::uint64_t size, std::uint64_t offset) { return size == 0 || offset < size; }

std::string name_of(Dwarf_Die* die) {
  const char* name = dwarf_diename(die);
  return name == nullptr ? "" : name;
}

// The one operation of a location, if it has no more than that.
std::optional<Dwarf_Op> only_operation(Dwarf_Die* die, unsigned attribute_name) {
  Dwarf_Attribute attribute;
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_attr(die, attribute_name, &attribute) == nullptr) return std::nullopt;
  if (dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1) return std::nullopt;
  return operations[0];
}

// What a path looks like with one more step: the base class is no step, and a name need not begin with a dot.
std::string path_to(const std::string& path, const std::string& member) {
  return member.empty() ? path : path.empty() ? member : path + "." + member;
}

// Whether it was declared in one of these files, or below one of these folders.
bool declared_in(const std::vector<std::string>& sources, Dwarf_Die* die) {
  Dwarf_Die unit;
  if (dwarf_diecu(die, &unit, nullptr, nullptr) == nullptr) return false;
  std::string file = absolute_file(&unit, dwarf_decl_file(die));
  return std::any_of(sources.begin(), sources.end(), [&](const auto& source) { return file.starts_with(source); });
}

class Drill {
 public:
  explicit Drill(const std::vector<std::string>& sources) : sources_(sources) {}

  // The member of an object of `type` that lies `offset` bytes behind its begin.
  std::string into(Dwarf_Die type, std::uint64_t offset, const std::string& path) const {
    switch (dwarf_tag(&type)) {
      case DW_TAG_array_type:
        return into_element(type, offset, path);
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
        return into_member(type, offset, path);
      default:
        return path;
    }
  }

 private:
  std::string into_element(Dwarf_Die array, std::uint64_t offset, const std::string& path) const {
    std::optional<Dwarf_Die> element = type_of(&array);
    std::uint64_t size = element ? size_of(*element) : 0;
    if (size == 0) return path;
    return into(*element, offset % size, path + "[" + std::to_string(offset / size) + "]");
  }

  std::string into_member(Dwarf_Die type, std::uint64_t offset, const std::string& path) const {
    bool array = name_of(&type).starts_with("array<");  // std::array: its one member has no name of interest
    if (!array && !declared_in(sources_, &type)) return path;
    // A type whose members the compiler left to another file's debug information has no size: it ends where the next
    // member begins.
    std::optional<Dwarf_Die> found;
    Dwarf_Word found_at = 0;
    Dwarf_Die member;
    if (dwarf_child(&type, &member) != 0) return path;
    do {
      int tag = dwarf_tag(&member);
      if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
      Dwarf_Attribute attribute;
      Dwarf_Word begin = 0;
      if (dwarf_formudata(dwarf_attr(&member, DW_AT_data_member_location, &attribute), &begin) != 0) continue;
      if (begin > offset || (found && begin < found_at)) continue;
      found = member;
      found_at = begin;
    } while (dwarf_siblingof(&member, &member) == 0);
    std::optional<Dwarf_Die> inner = found ? type_of(&*found) : std::nullopt;
    if (!inner || !reaches(size_of(*inner), offset - found_at)) return path;
    std::string name = dwarf_tag(&*found) == DW_TAG_member && !array ? name_of(&*found) : "";
    return into(*inner, offset - found_at, path_to(path, name));
  }

  const std::vector<std::string>& sources_;
};

}  // namespace

Variables::Variables(const std::string& program, std::vector<std::string> sources)
    : file_(std::make_unique<ProgramFile>(program)), sources_(std::move(sources)) {}
Variables::~Variables() = default;

const std::vector<Variables::Local>& Variables::locals_at(std::uint64_t pc) {
  auto [known, is_new] = locals_.try_emplace(pc);
  std::vector<Local>& locals = known->second;
  if (!is_new || file_->module == nullptr) return locals;
  Dwarf_Addr bias = 0;
  Dwarf_Die* unit = dwfl_module_addrdie(file_->module, file_->start + pc, &bias);
  Dwarf_Die* scopes = nullptr;
  int count = unit == nullptr ? 0 : dwarf_getscopes(unit, file_->start + pc - bias, &scopes);
  // From the innermost block to the function that holds it.
  for (int i = 0; i < count; ++i) {
    Dwarf_Die child;
    if (dwarf_child(&scopes[i], &child) == 0) {
      do {
        int tag = dwarf_tag(&child);
        if (tag != DW_TAG_variable && tag != DW_TAG_formal_parameter) continue;
        if (!declared_in(sources_, &child)) continue;
        std::optional<Dwarf_Op> place = only_operation(&child, DW_AT_location);
        std::optional<Dwarf_Die> type = type_of(&child);
        if (!place || place->atom != DW_OP_fbreg || !type) continue;
        locals.push_back({interleave::name_of(&child), static_cast<std::int64_t>(place->number) - frame_record,
                          size_of(*type), *type});
      } while (dwarf_siblingof(&child, &child) == 0);
    }
    if (dwarf_tag(&scopes[i]) != DW_TAG_subprogram) continue;
    std::optional<Dwarf_Op> base = only_operation(&scopes[i], DW_AT_frame_base);
    if (!base || base->atom != frame_pointer) locals.clear();
    break;
  }
  std::free(scopes);
  return locals;
}

std::string Variables::local_at(std::uint64_t pc, std::uint64_t cfa, std::uint64_t address) {
  const Local* nearest = nullptr;
  for (const Local& local : locals_at(pc)) {
    if (cfa + static_cast<std::uint64_t>(local.offset) > address) continue;
    if (nearest == nullptr || local.offset > nearest->offset) nearest = &local;
  }
  if (nearest == nullptr || address >= cfa) return "";
  std::uint64_t offset = address - cfa - static_cast<std::uint64_t>(nearest->offset);
  return reaches(nearest->size, offset) ? Drill(sources_).into(nearest->type, offset, nearest->name) : "";
}

std::string Variables::static_at(std::uint64_t offset) {
  if (file_->module == nullptr) return "";
  GElf_Off behind = 0;
  GElf_Sym symbol;
  const char* linkage =
      dwfl_module_addrinfo(file_->module, file_->start + offset, &behind, &symbol, nullptr, nullptr, nullptr);
  if (linkage == nullptr || GELF_ST_TYPE(symbol.st_info) != STT_OBJECT || behind >= symbol.st_size) return "";
  int status = 0;
  char* plain = abi::__cxa_demangle(linkage, nullptr, nullptr, &status);
  std::string name = status == 0 && plain != nullptr ? plain : linkage;
  std::free(plain);
  // "f()::counter" is counter; what begins with two underscores is the standard library's ([lex.name]/3).
  name.erase(0, name.rfind(':') + 1);
  return name.starts_with("__") ? "" : name;
}

}  // namespace interleave
