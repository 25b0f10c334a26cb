#include "grader/confinement.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <system_error>

#include "grader/process.hpp"

namespace interleave {

namespace fs = std::filesystem;

namespace {

constexpr const char* bytes_in_memory = "536870912";  // in each folder that can be written

std::vector<std::string> system_folders() {
  std::vector<std::string> arguments = {"--ro-bind", "/usr", "/usr"};
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64"}) {
    std::error_code error;
    if (fs::is_symlink(name)) {
      arguments.insert(arguments.end(), {"--symlink", fs::read_symlink(name, error).string(), name});
    } else if (fs::exists(name)) {
      arguments.insert(arguments.end(), {"--ro-bind", name, name});
    }
  }
  // How programs find libraries, and what a name such as `awk` or `c++` means. Nothing of who uses this machine.
  for (const char* name : {"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"})
    arguments.insert(arguments.end(), {"--ro-bind-try", name, name});
  return arguments;
}

}  // namespace

bool Confinement::is_possible() {
  static const bool possible = [] {
    Command command;
    command.arguments = Confinement().prefix();
    command.arguments.push_back("/usr/bin/true");
    command.before_exec = [] { enter(100); };
    try {
      return run_and_capture(command).ending.succeeded();
    } catch (const std::system_error&) {
      return false;  // there is no bwrap
    }
  }();
  return possible;
}

Confinement& Confinement::show(const fs::path& path) {
  mounts_.insert(mounts_.end(), {"--ro-bind-try", path.string(), path.string()});
  return *this;
}

Confinement& Confinement::hide(const fs::path& path) {
  mounts_.insert(mounts_.end(), {"--tmpfs", path.string()});
  return *this;
}

Confinement& Confinement::share(const fs::path& path) {
  mounts_.insert(mounts_.end(), {"--bind", path.string(), path.string()});
  return *this;
}

Confinement& Confinement::start_in(const fs::path& path) {
  start_ = path.string();
  return *this;
}

void Confinement::enter(unsigned processes) {
  if (::geteuid() == 0) {
    constexpr id_t nobody = 65534;
    // Not the C library's functions, which mean all threads of the process that this one was forked from.
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, nobody, nobody, nobody) != 0 ||
        ::syscall(SYS_setresuid, nobody, nobody, nobody) != 0)
      ::_exit(126);
  }
  // Counted in each user namespace apart (Linux 5.14), so this is no other confinement's.
  rlimit most{processes, processes};
  ::setrlimit(RLIMIT_NPROC, &most);
}

std::vector<std::string> Confinement::prefix() const {
  std::vector<std::string> arguments = {"bwrap", "--unshare-all", "--die-with-parent", "--clearenv"};
  auto add = [&](const std::vector<std::string>& more) { arguments.insert(arguments.end(), more.begin(), more.end()); };
  add({"--setenv", "PATH", "/usr/bin:/bin:/usr/sbin:/sbin", "--setenv", "LANG", "C.UTF-8", "--setenv", "TMPDIR",
       "/tmp"});
  add(system_folders());
  add({"--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"});
  for (const char* folder : {"/dev/shm", "/tmp"})
    add({"--size", bytes_in_memory, "--perms", "1777", "--tmpfs", folder});
  add(mounts_);
  add({"--remount-ro", "/", "--chdir", start_, "--"});
  return arguments;
}

}  // namespace interleave
