#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace interleave {

struct ProgramFile;

/// Finds what a person called the object at an address: a local variable of a function that has not returned, or one of
/// the program's own, and in it the member. Reads debug information (DWARF 5) of code that was not optimised, where
/// each variable has one place in its function's frame. Not thread-safe.
class Variables {
 public:
  /// Only what stands in one of `sources`, files and folders (with a slash at the end), was named by the people who
  /// read the timeline; a type from elsewhere, as std::mutex, is one object whatever it is made of.
  Variables(const std::string& program, std::vector<std::string> sources);
  ~Variables();

  /// The variable of the function that is at `pc`, an offset in the program, in the frame with this canonical frame
  /// address: "queue.not_full_", "slots[2]". Empty if the address is in none of them.
  std::string local_at(std::uint64_t pc, std::uint64_t cfa, std::uint64_t address);

  /// The variable with static storage duration at this offset in the program. Empty if there is none.
  std::string static_at(std::uint64_t offset);

 private:
  struct Local;
  const std::vector<Local>& locals_at(std::uint64_t pc);

  std::unique_ptr<ProgramFile> file_;
  std::vector<std::string> sources_;
  std::map<std::uint64_t, std::vector<Local>> locals_;  // by program counter
};

}  // namespace interleave
