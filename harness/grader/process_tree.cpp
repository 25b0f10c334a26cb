#include "grader/process_tree.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/futex.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace interleave {

namespace {

namespace fs = std::filesystem;

// Empty if the process ends meanwhile: reading then fails with ESRCH, which an iterator over the stream would throw.
std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::uint64_t number_after(const std::string& text, std::string_view label) {
  auto at = text.find(label);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + label.size(), nullptr, 10);
}

std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> children;
  std::error_code error;
  for (fs::directory_iterator it("/proc/" + std::to_string(process) + "/task", error), end; !error && it != end;
       it.increment(error)) {
    std::ifstream file(it->path() / "children");
    for (pid_t pid; file >> pid;) children.push_back(pid);
  }
  return children;
}

ProcessInfo info_of(pid_t pid) {
  std::string directory = "/proc/" + std::to_string(pid);
  std::string stat = read_file(directory + "/stat");
  auto open = stat.find('('), close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return {};
  ProcessInfo info{pid, 0, '?', stat.substr(open + 1, close - open - 1), 0};
  std::istringstream rest(stat.substr(close + 1));
  rest >> info.state >> info.parent;
  info.anonymous_memory = number_after(read_file(directory + "/status"), "RssAnon:") * 1024;
  return info;
}

// What a descriptor of another process refers to, as "pipe:[123]"; empty if it is not open.
std::string target_of(pid_t process, std::uint64_t descriptor) {
  std::error_code error;
  auto target = fs::read_symlink("/proc/" + std::to_string(process) + "/fd/" + std::to_string(descriptor), error);
  return error ? "" : target.string();
}

// A Unix socket without a time limit of its own: only the other end can wake who waits there.
bool is_endless_unix_socket(pid_t process, int descriptor) {
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_getfd)
  int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
  if (pidfd < 0) return false;
  int copy = static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, descriptor, 0));
  ::close(pidfd);
  if (copy < 0) return false;
  int domain = 0;
  timeval receive{}, send{};
  socklen_t domain_size = sizeof(domain), receive_size = sizeof(receive), send_size = sizeof(send);
  bool endless = ::getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) == 0 && domain == AF_UNIX &&
                 ::getsockopt(copy, SOL_SOCKET, SO_RCVTIMEO, &receive, &receive_size) == 0 &&
                 ::getsockopt(copy, SOL_SOCKET, SO_SNDTIMEO, &send, &send_size) == 0 && receive.tv_sec == 0 &&
                 receive.tv_usec == 0 && send.tv_sec == 0 && send.tv_usec == 0;
  ::close(copy);
  return endless;
#else
  (void)process, (void)descriptor;
  return false;
#endif
}

// Whether nothing from outside the tree can make this descriptor ready.
bool is_closed_to_the_outside(pid_t process, std::uint64_t descriptor, const std::string& target) {
  if (target.starts_with("pipe:") || target == "anon_inode:[eventfd]" || target == "anon_inode:[signalfd]" ||
      target == "anon_inode:[pidfd]" || target == "anon_inode:[eventpoll]" || target == "/dev/null") {
    return true;
  }
  if (target.starts_with("socket:")) return is_endless_unix_socket(process, static_cast<int>(descriptor));
  // Regular files are always ready; timers, terminals, inotify and the rest may be woken by anybody.
  return target.starts_with("/") && !target.starts_with("/dev/");
}

bool is_closed_to_the_outside(pid_t process) {
  std::error_code error;
  for (fs::directory_iterator it("/proc/" + std::to_string(process) + "/fd", error), end; !error && it != end;
       it.increment(error)) {
    std::uint64_t number = std::strtoull(it->path().filename().c_str(), nullptr, 10);
    std::string target = target_of(process, number);
    if (!target.empty() && !target.starts_with("/memfd:") && !is_closed_to_the_outside(process, number, target))
      return false;
  }
  return !error;
}

bool has_posix_timer(pid_t process) { return !read_file("/proc/" + std::to_string(process) + "/timers").empty(); }

struct SystemCall {
  long number = -1;
  std::uint64_t arguments[6] = {};
};

SystemCall system_call_of(const fs::path& task) {
  SystemCall call;
  std::ifstream file(task / "syscall");
  std::string word;
  if (!(file >> word) || word == "running" || word.starts_with("-")) return call;
  call.number = std::atol(word.c_str());
  for (auto& argument : call.arguments) {
    if (file >> word) argument = std::strtoull(word.c_str(), nullptr, 16);
  }
  return call;
}

// Fills in what a sleeping thread waits for, and whether only the tree itself can end that.
void explain(ThreadState& thread, const SystemCall& call, std::uint64_t output_inode) {
  auto on = [&](std::uint64_t descriptor) {
    return "descriptor " + std::to_string(descriptor) + ", " + target_of(thread.process, descriptor);
  };
  auto endless_on_descriptor = [&](const char* name) {
    std::string target = target_of(thread.process, call.arguments[0]);
    thread.waits_for = std::string(name) + " on " + on(call.arguments[0]);
    thread.blocked_for_good = target != "pipe:[" + std::to_string(output_inode) + "]" &&
                              is_closed_to_the_outside(thread.process, call.arguments[0], target);
  };
  auto poll_without_limit = [&](const char* name, bool without_limit) {
    thread.waits_for = std::string(name) + (without_limit ? ", without a time limit" : ", with a time limit");
    thread.blocked_for_good = without_limit && is_closed_to_the_outside(thread.process);
  };
  auto endless = [&](std::string what, bool without_limit = true) {
    thread.waits_for = std::move(what);
    thread.blocked_for_good = without_limit;
  };

  switch (call.number) {
    case SYS_futex: {
      auto operation = call.arguments[1] & FUTEX_CMD_MASK;
      bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET || operation == FUTEX_LOCK_PI;
      endless("a futex (a lock, a condition variable, a join, an atomic)", waits && call.arguments[3] == 0);
      return;
    }
    // A look without waiting passes through state S, too.
    case SYS_wait4:
      return endless("wait4, for a child to end", (call.arguments[2] & WNOHANG) == 0);
    case SYS_waitid:
      return endless("waitid, for a child to end", (call.arguments[3] & WNOHANG) == 0);
    case SYS_read:
      return endless_on_descriptor("read");
    case SYS_readv:
      return endless_on_descriptor("readv");
    case SYS_write:
      return endless_on_descriptor("write");
    case SYS_writev:
      return endless_on_descriptor("writev");
    case SYS_recvfrom:
      return endless_on_descriptor("recv");
    case SYS_recvmsg:
      return endless_on_descriptor("recvmsg");
    case SYS_sendto:
      return endless_on_descriptor("send");
    case SYS_sendmsg:
      return endless_on_descriptor("sendmsg");
    case SYS_accept:
    case SYS_accept4:
      return endless_on_descriptor("accept");
    case SYS_splice:
      return endless_on_descriptor("splice");
#ifdef SYS_poll
    case SYS_poll:
      return poll_without_limit("poll", static_cast<int>(call.arguments[2]) < 0);
    case SYS_select:
      return poll_without_limit("select", call.arguments[4] == 0);
    case SYS_epoll_wait:
      return poll_without_limit("epoll_wait", static_cast<int>(call.arguments[3]) < 0);
    case SYS_pause:
      return endless("pause, for a signal");
    case SYS_vfork:
      thread.in_vfork = true;
      return endless("vfork, for the child to exec or end");
#endif
    case SYS_ppoll:
      return poll_without_limit("ppoll", call.arguments[2] == 0);
    case SYS_pselect6:
      return poll_without_limit("pselect", call.arguments[4] == 0);
    case SYS_epoll_pwait:
      return poll_without_limit("epoll_pwait", static_cast<int>(call.arguments[3]) < 0);
    case SYS_rt_sigsuspend:
      return endless("sigsuspend, for a signal");
    case SYS_rt_sigtimedwait:
      return endless("sigwait, for a signal", call.arguments[2] == 0);
#ifdef SYS_semop
    case SYS_semop:
      return endless("semop, for a semaphore");
#endif
    // A fork that sleeps for a lock or for memory is in state D as well; only CLONE_VFORK waits for the child.
    case SYS_clone:
      thread.in_vfork = (call.arguments[0] & CLONE_VFORK) != 0;
      return endless("clone, for the child to exec or end", thread.in_vfork);
    case SYS_clone3:
      return endless("clone, for the child to exec or end", false);
    case SYS_clock_nanosleep:
    case SYS_nanosleep:
      thread.sleeps = true;
      return endless("sleep", false);
    default:
      return endless("system call " + std::to_string(call.number), false);
  }
}

}  // namespace

std::vector<ProcessInfo> descendants_of(pid_t root) {
  std::vector<ProcessInfo> found;
  std::set<pid_t> seen;
  std::vector<pid_t> open = {root};
  while (!open.empty()) {
    pid_t parent = open.back();
    open.pop_back();
    for (pid_t child : children_of(parent)) {
      if (!seen.insert(child).second) continue;
      ProcessInfo info = info_of(child);
      if (info.pid == 0) continue;
      found.push_back(std::move(info));
      open.push_back(child);
    }
  }
  return found;
}

std::vector<ThreadState> threads_of(const std::vector<ProcessInfo>& processes, std::uint64_t output_inode) {
  std::vector<ThreadState> threads;
  for (const ProcessInfo& process : processes) {
    std::error_code error;
    fs::path tasks = "/proc/" + std::to_string(process.pid) + "/task";
    bool timer = has_posix_timer(process.pid);
    for (fs::directory_iterator it(tasks, error), end; !error && it != end; it.increment(error)) {
      ThreadState thread;
      thread.process = process.pid;
      thread.thread = std::atoi(it->path().filename().c_str());
      // The switch count is read first: if the thread runs after that, the next look shows another count.
      std::string status = read_file(it->path() / "status");
      thread.switches =
          number_after(status, "\nvoluntary_ctxt_switches:") + number_after(status, "nonvoluntary_ctxt_switches:");
      thread.run_time = std::strtoull(read_file(it->path() / "schedstat").c_str(), nullptr, 10);
      auto state = status.find("State:\t");
      if (state == std::string::npos) continue;
      thread.state = status[state + 7];
      switch (thread.state) {
        case 'Z':
        case 'X':
        case 'x':
          thread.blocked_for_good = true;
          thread.waits_for = "nothing: it has ended";
          break;
        case 'T':
          thread.blocked_for_good = true;
          thread.waits_for = "SIGCONT: it was stopped";
          break;
        case 'S':
        case 'D': {
          SystemCall call = system_call_of(it->path());
          thread.system_call = call.number;
          explain(thread, call, output_inode);
          // State D is a short wait for the kernel itself, but for a parent in vfork.
          if (thread.state == 'D' && !thread.in_vfork) thread.blocked_for_good = false;
          break;
        }
        default:
          thread.waits_for = "nothing: it runs";
      }
      if (timer) thread.blocked_for_good = false;
      threads.push_back(std::move(thread));
    }
  }
  return threads;
}

void end_all_descendants() {
  std::set<pid_t> stopped;
  while (true) {
    bool grew = false;
    for (const ProcessInfo& process : descendants_of(::getpid())) {
      if (process.state == 'Z' || !stopped.insert(process.pid).second) continue;
      ::kill(process.pid, SIGSTOP);
      grew = true;
    }
    if (!grew) break;
  }
  while (true) {
    bool living = false;
    for (const ProcessInfo& process : descendants_of(::getpid())) {
      if (process.state == 'Z') continue;
      ::kill(process.pid, SIGKILL);
      living = true;
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    if (!living && descendants_of(::getpid()).empty()) break;
    ::usleep(500);
  }
}

}  // namespace interleave
