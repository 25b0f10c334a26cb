// The program `confine`: compiles a submission, so that what it includes is the system's headers and what it was given,
// and so that it comes to an end. CMake puts it before the compiler (Exercise.cmake):
//
//   confine <folder to read>... -- <compiler> <argument>... -o <object> ...
//
// Its working directory can be read, the object's folder written. Without bubblewrap only the limits hold.

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "grader/confinement.hpp"

namespace {

namespace fs = std::filesystem;

constexpr rlim_t cpu_seconds = 120;
constexpr rlim_t largest_file = rlim_t{256} << 20;
constexpr rlim_t address_space = rlim_t{6} << 30;

void limit(int resource, rlim_t value) {
  rlimit wanted{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &wanted);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  std::vector<std::string> folders, compile;
  bool after = false;
  fs::path object;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (after) {
      compile.push_back(words[i]);
      if (words[i] == "-o" && i + 1 < words.size()) object = words[i + 1];
    } else if (words[i] == "--") {
      after = true;
    } else {
      folders.push_back(words[i]);
    }
  }
  if (compile.empty()) {
    std::fputs("confine: CMake starts it: confine <folder>... -- <command>...\n", stderr);
    return 2;
  }

  if (interleave::Confinement::is_possible()) {
    interleave::Confinement inside;
    for (const std::string& folder : folders) inside.show(folder);
    fs::path here = fs::current_path();
    inside.start_in(here);
    if (!object.empty()) inside.share((here / object).parent_path());
    std::vector<std::string> prefix = inside.prefix();
    compile.insert(compile.begin(), prefix.begin(), prefix.end());
  }
  limit(RLIMIT_CPU, cpu_seconds);
  limit(RLIMIT_FSIZE, largest_file);
  limit(RLIMIT_AS, address_space);
  limit(RLIMIT_CORE, 0);

  std::vector<char*> arguments;
  for (std::string& word : compile) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  std::fprintf(stderr, "confine: %s: %s\n", arguments[0], std::strerror(errno));
  return 126;
}
