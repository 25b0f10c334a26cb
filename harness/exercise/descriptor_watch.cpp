#include "exercise/descriptor_watch.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <mutex>

#include "exercise/descriptor_table.hpp"

namespace interleave {

namespace {

struct Watch {
  pid_t process;
  pid_t thread;
  DescriptorTable before;
  std::mutex mutex;
  std::vector<std::string> remarks;
};

std::atomic<Watch*> watch = nullptr;
thread_local bool looking = false;

void look(const char* when, const char* call) {
  Watch* current = watch.load();
  // A child process has a table of its own, even one of vfork(2), which shares all of this memory.
  if (current == nullptr || looking || ::getpid() != current->process) return;
  int error = errno;
  looking = true;
  {
    std::lock_guard lock(current->mutex);
    DescriptorTable now = descriptor_table_of(current->thread);
    // New ones are nobody else's business as long as no program can inherit them.
    std::erase_if(now,
                  [&](auto& entry) { return !current->before.contains(entry.first) && entry.second.close_on_exec(); });
    for (const std::string& change : changes(current->before, now)) {
      bool known = std::any_of(current->remarks.begin(), current->remarks.end(),
                               [&](const std::string& remark) { return remark.ends_with(change); });
      if (!known) current->remarks.push_back(std::string(when) + " " + call + "(), " + change);
    }
  }
  looking = false;
  errno = error;
}

void look_before_fork() { look("before", "fork"); }

template <typename Call>
auto watched(const char* name, Call call) {
  look("before", name);
  auto result = call();
  look("after", name);
  return result;
}

}  // namespace

DescriptorWatch::DescriptorWatch() {
  static bool registered = ::pthread_atfork(look_before_fork, nullptr, nullptr) == 0;
  (void)registered;
  auto* next = new Watch{::getpid(), ::gettid(), {}, {}, {}};
  next->before = descriptor_table();
  watch = next;
}

DescriptorWatch::~DescriptorWatch() { delete watch.exchange(nullptr); }

std::vector<std::string> DescriptorWatch::remarks() const {
  std::lock_guard lock(watch.load()->mutex);
  return watch.load()->remarks;
}

}  // namespace interleave

using interleave::look;
using interleave::watched;

extern "C" {

int __real_pipe(int*);
int __wrap_pipe(int* ends) {
  return watched("pipe", [&] { return __real_pipe(ends); });
}

int __real_pipe2(int*, int);
int __wrap_pipe2(int* ends, int flags) {
  return watched("pipe2", [&] { return __real_pipe2(ends, flags); });
}

int __real_socketpair(int, int, int, int*);
int __wrap_socketpair(int domain, int type, int protocol, int* ends) {
  return watched("socketpair", [&] { return __real_socketpair(domain, type, protocol, ends); });
}

int __real_open(const char*, int, ...);
int __wrap_open(const char* path, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return watched("open", [&] { return __real_open(path, flags, mode); });
}

int __real_dup(int);
int __wrap_dup(int source) {
  return watched("dup", [&] { return __real_dup(source); });
}

int __real_dup2(int, int);
int __wrap_dup2(int source, int target) {
  return watched("dup2", [&] { return __real_dup2(source, target); });
}

int __real_dup3(int, int, int);
int __wrap_dup3(int source, int target, int flags) {
  return watched("dup3", [&] { return __real_dup3(source, target, flags); });
}

int __real_close(int);
int __wrap_close(int descriptor) {
  return watched("close", [&] { return __real_close(descriptor); });
}

// fcntl(2) and ioctl(2) take a number, a pointer or nothing; all of them pass through one register.
int __real_fcntl(int, int, ...);
int __wrap_fcntl(int descriptor, int command, ...) {
  std::va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  if (command == F_GETFD || command == F_GETFL) return __real_fcntl(descriptor, command, argument);  // only asks
  return watched("fcntl", [&] { return __real_fcntl(descriptor, command, argument); });
}

int __real_ioctl(int, unsigned long, ...);
int __wrap_ioctl(int descriptor, unsigned long request, ...) {
  std::va_list rest;
  va_start(rest, request);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  return watched("ioctl", [&] { return __real_ioctl(descriptor, request, argument); });
}

int __real_posix_spawn(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                       char* const*);
int __wrap_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                       const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
  look("before", "posix_spawn");
  return __real_posix_spawn(pid, path, actions, attributes, arguments, environment);
}

int __real_posix_spawnp(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                        char* const*);
int __wrap_posix_spawnp(pid_t* pid, const char* name, const posix_spawn_file_actions_t* actions,
                        const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
  look("before", "posix_spawnp");
  return __real_posix_spawnp(pid, name, actions, attributes, arguments, environment);
}
}
