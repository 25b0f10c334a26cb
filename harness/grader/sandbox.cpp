#include "grader/sandbox.hpp"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace interleave {

namespace fs = std::filesystem;

namespace {

constexpr rlim_t cpu_seconds = 60;
constexpr rlim_t largest_file = rlim_t{256} << 20;

void limit(int resource, rlim_t value) {
  rlimit current{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &current);
  if (current.rlim_max != RLIM_INFINITY && value > current.rlim_max) value = current.rlim_max;
  rlimit wanted{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &wanted);
}

bool write_text(const char* path, const char* text) {
  int descriptor = ::open(path, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  bool written = ::write(descriptor, text, std::strlen(text)) == static_cast<ssize_t>(std::strlen(text));
  ::close(descriptor);
  return written;
}

// A mount and an IPC namespace: as root directly, else through a user namespace that maps the user to itself.
bool make_ipc_private() {
  uid_t user = ::getuid();
  gid_t group = ::getgid();
  if (::unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC) != 0) return false;
    char map[64];
    std::snprintf(map, sizeof(map), "%u %u 1", user, user);
    if (!write_text("/proc/self/uid_map", map)) return false;
    write_text("/proc/self/setgroups", "deny");
    std::snprintf(map, sizeof(map), "%u %u 1", group, group);
    if (!write_text("/proc/self/gid_map", map)) return false;
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0;
}

}  // namespace

ScratchDirectory::ScratchDirectory() {
  std::error_code error;
  fs::path base = fs::temp_directory_path(error);
  if (error) base = "/tmp";
  std::string pattern = (base / "interleave-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw std::system_error(errno, std::generic_category(), "mkdtemp in " + base.string());
  path_ = pattern;
  fs::create_directories(temporary());
  fs::create_directories(reports());
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code error;
  fs::remove_all(path_, error);
  if (!error) return;
  // Some directory was made unreadable: open them all, and try again.
  for (fs::recursive_directory_iterator it(path_, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) fs::permissions(*it, fs::perms::owner_all, ignored);
  }
  fs::remove_all(path_, error);
}

void enter_sandbox(const RunRequest& request) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The same addresses on each run: where an address decides, as in a hash of a thread's id, the verdict is the same.
  ::personality(ADDR_NO_RANDOMIZE);
  limit(RLIMIT_CPU, cpu_seconds);
  limit(RLIMIT_FSIZE, largest_file);
  limit(RLIMIT_CORE, 0);
  // The supervisor looks at memory that is used and says so; this only stops what grows too fast between two looks.
  if (request.limit_address_space) limit(RLIMIT_DATA, 4 * request.memory_limit);
  if (!request.confined) make_ipc_private();
}

bool private_ipc_is_possible() {
  pid_t child = ::fork();
  if (child == 0) ::_exit(make_ipc_private() ? 0 : 1);
  int status = 1;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace interleave
