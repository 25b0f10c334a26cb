#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <system_error>
#include <thread>

#include "grader/process.hpp"
#include "grader/sandbox.hpp"
#include "tool/commands.hpp"

namespace interleave {

namespace fs = std::filesystem;

namespace {

class Examination {
 public:
  explicit Examination(const Style& style) : style_(style) {}

  void good(const std::string& what) { fmt::print("  {} {}\n", style_.pass(), what); }
  // Works, but less well.
  void remark(const std::string& what) { fmt::print("  {} {}\n", style_.yellow("!"), what); }
  void bad(const std::string& what, const std::string& next_step) {
    fmt::print("  {} {}\n      {}\n", style_.fail(), what, next_step);
    sound_ = false;
  }
  bool sound() const { return sound_; }

 private:
  Style style_;
  bool sound_ = true;
};

// The first line that a program prints, or nothing if it cannot be started.
std::string first_line_of(const std::vector<std::string>& arguments) {
  try {
    Command command;
    command.arguments = arguments;
    Captured captured = run_and_capture(command);
    return captured.ending.succeeded() ? captured.text.substr(0, captured.text.find('\n')) : "";
  } catch (const std::system_error&) {
    return "";
  }
}

void examine_programs(Examination& examination, const Workbook& workbook) {
  std::string clang = first_line_of({workbook.compiler, "--version"});
  std::smatch version;
  if (!std::regex_search(clang, version, std::regex(R"(version (\d+)\.)"))) {
    examination.bad("the compiler " + workbook.compiler + " does not answer",
                    "Install Clang 19, remove build/ and start ./learn again.");
  } else if (std::stoi(version[1]) < 18) {
    examination.bad(clang + " is too old", "Install Clang 18 or newer, remove build/ and start ./learn again.");
  } else {
    examination.good(clang);
  }
  for (auto [program, option] : {std::pair{"cmake", "--version"}, {"ninja", "--version"}, {"diff", "--version"}}) {
    std::string line = first_line_of({program, option});
    if (line.empty()) {
      examination.bad(std::string(program) + " was not found", "Start ./learn, which installs what is missing.");
    } else {
      examination.good(std::string(program) == "ninja" ? "ninja " + line : line);
    }
  }
}

// Compiles and runs an empty program: the flags here are what it asks about, so it is no lens.
void examine_sanitizer(Examination& examination, const Workbook& workbook, const ScratchDirectory& scratch,
                       const std::string& name) {
  fs::path source = scratch.work() / "empty.cpp", program = scratch.work() / name;
  std::ofstream(source) << "int main() {}\n";
  Command compile;
  compile.arguments = {workbook.compiler, "-fsanitize=" + name, "-fuse-ld=lld", source.string(), "-o",
                       program.string()};
  Captured compiled = run_and_capture(compile);
  if (!compiled.ending.succeeded()) {
    examination.bad("a program cannot be built with -fsanitize=" + name + ":\n" + compiled.text,
                    "Install libclang-rt-<version>-dev and lld for your Clang; ./learn does it on Debian and Ubuntu.");
    return;
  }
  Command run;
  run.arguments = {program.string()};
  Captured ran = run_and_capture(run);
  if (ran.ending.succeeded()) {
    examination.good("programs start under the " + name + " sanitizer");
    return;
  }
  std::string bits;
  std::ifstream("/proc/sys/vm/mmap_rnd_bits") >> bits;
  examination.bad(
      "a program does not start under the " + name + " sanitizer (vm.mmap_rnd_bits is " + bits + ")",
      "LLVM before 18.1 cannot work with more than 30 bits: sudo sysctl vm.mmap_rnd_bits=28, or a newer Clang.");
}

void examine_kernel(Examination& examination) {
  std::string scope = "0";
  std::ifstream("/proc/sys/kernel/yama/ptrace_scope") >> scope;
  if (scope == "0" || scope == "1" || ::geteuid() == 0) {
    examination.good("stacks of stopped programs can be read (ptrace)");
  } else {
    examination.remark("kernel.yama.ptrace_scope is " + scope +
                       ": a hang is shown without the lines where it stands, and later");
  }
  if (fs::exists("/proc/self/task/" + std::to_string(::getpid()) + "/children")) {
    examination.good("the kernel lists child processes");
  } else {
    examination.bad("/proc/<pid>/task/<tid>/children is missing",
                    "The grader needs a kernel with CONFIG_PROC_CHILDREN; use the dev container on another machine.");
  }
  if (private_ipc_is_possible()) {
    examination.good("test programs get IPC names of their own (namespaces)");
  } else {
    examination.remark("no namespaces for this user: segments that a test leaves in /dev/shm are not noticed");
  }
}

void examine_machine(Examination& examination, const Workbook& workbook) {
  struct statvfs disk {};
  if (::statvfs(workbook.build.c_str(), &disk) == 0) {
    std::uint64_t free = disk.f_bavail * disk.f_frsize >> 20;
    if (free < 200) {
      examination.bad(fmt::format("{} MiB free in {}", free, workbook.build.string()),
                      "A build of all exercises needs a few hundred; make room.");
    } else {
      examination.good(fmt::format("{} MiB free in {}", free, workbook.build.string()));
    }
  }
  if (::access(workbook.root.c_str(), W_OK) != 0) {
    examination.remark(
        "the checkout cannot be written, so exercises cannot be edited there; progress is kept in the build tree");
  }
  examination.good(fmt::format("{} cores", std::thread::hardware_concurrency()));
}

}  // namespace

int doctor(Session& session) {
  Examination examination(session.style);
  ScratchDirectory scratch;
  examine_programs(examination, session.workbook);
  for (const char* sanitizer : {"address", "thread"})
    examine_sanitizer(examination, session.workbook, scratch, sanitizer);
  examine_kernel(examination);
  examine_machine(examination, session.workbook);
  fmt::print("{}\n", examination.sound() ? "Everything that the workbook needs is here."
                                         : "Something is missing; see the lines marked above.");
  return examination.sound() ? 0 : 1;
}

}  // namespace interleave
