#include "exercise/hygiene.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "exercise/session.hpp"

namespace interleave {

namespace {

namespace fs = std::filesystem;

struct ProcessStat {
  std::string name;
  char state = '?';
  std::string parent;
};

// proc(5): "pid (comm) state ppid ..."; comm may hold spaces and parentheses, so it ends at the last one.
ProcessStat read_stat(const fs::path& directory) {
  std::ifstream file(directory / "stat");
  std::string line;
  std::getline(file, line);  // and not an iterator, which would throw if the process ends while it is read
  auto open = line.find('('), close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return {};
  ProcessStat stat{line.substr(open + 1, close - open - 1), '?', ""};
  std::istringstream rest(line.substr(close + 1));
  rest >> stat.state >> stat.parent;
  return stat;
}

template <typename Visit>
void for_each_entry(const fs::path& directory, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator it(directory, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    visit(it->path());
  }
}

void list_children_of(const std::string& parent, const std::string& except, const std::string& remark,
                      std::map<std::string, std::string>& out) {
  for_each_entry("/proc/" + parent + "/task", [&](const fs::path& task) {
    std::ifstream file(task / "children");
    for (std::string pid; file >> pid;) {
      if (pid == except) continue;
      ProcessStat stat = read_stat("/proc/" + pid);
      if (stat.state == '?') continue;  // gone in the meantime
      out[pid] = (stat.state == 'Z' ? "ended but never waited for (a zombie), '" : "still running, '") + stat.name +
                 "'" + remark;
    }
  });
}

void list_segments(Holdings& holdings) {
  for_each_entry("/dev/shm", [&](const fs::path& path) {
    bool semaphore = path.filename().string().starts_with("sem.");
    holdings.segments[path.string()] = semaphore ? "named semaphore" : "shared memory segment";
  });
  for (auto [table, kind] : {std::pair{"shm", "System V shared memory segment"},
                             {"sem", "System V semaphore set"},
                             {"msg", "System V message queue"}}) {
    std::ifstream file(std::string("/proc/sysvipc/") + table);
    std::string line;
    std::getline(file, line);  // the heading
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::string key, id;
      if (fields >> key >> id) holdings.segments[std::string(table) + " " + id] = kind;
    }
  }
}

void list_files(const fs::path& directory, std::map<std::string, std::string>& out) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    out[it->path().string()] = it->is_directory(error) ? "directory" : "file";
  }
}

bool is_leaving(const std::string& thread) {
  char state = read_stat("/proc/self/task/" + thread).state;
  return state != 'S' && state != 'D' && state != 'T';
}

}  // namespace

Holdings take_stock() {
  Holdings holdings;
  std::string self = std::to_string(::getpid());
  list_children_of(self, "", "", holdings.children);
  // The supervisor is the sub-reaper of this tree: what has lost its parent is a child of it now.
  if (session::supervised()) {
    list_children_of(std::to_string(::getppid()), self, ", an orphan: its parent ended first", holdings.children);
  }

  for_each_entry("/proc/self/fd", [&](const fs::path& path) {
    std::error_code error;
    fs::path target = fs::read_symlink(path, error);
    if (error || target == "/proc/" + self + "/fd") return;  // the directory that is being read right now
    holdings.descriptors[path.filename().string()] = target.string();
  });
  for_each_entry("/proc/self/task", [&](const fs::path& path) {
    ProcessStat stat = read_stat(path);
    if (stat.state != '?') holdings.threads[path.filename().string()] = stat.name;
  });
  // Without a supervisor these places are shared with the rest of the machine, and blame would be luck.
  if (std::getenv("INTERLEAVE_PRIVATE_IPC") != nullptr) list_segments(holdings);
  if (const char* scratch = std::getenv("INTERLEAVE_SCRATCH")) list_files(scratch, holdings.files);
  return holdings;
}

std::vector<std::string> left_behind_since(const Holdings& before) {
  // A watchdog, not a judgement: a thread that neither ends nor sleeps for this long is reported as left.
  auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  Holdings now = take_stock();
  while (
      std::any_of(now.threads.begin(), now.threads.end(),
                  [&](auto& thread) { return !before.threads.contains(thread.first) && is_leaving(thread.first); }) &&
      std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
    now = take_stock();
  }

  std::vector<std::string> sentences;
  auto compare = [&](const std::map<std::string, std::string>& then, const std::map<std::string, std::string>& present,
                     auto sentence) {
    for (auto& [name, what] : present) {
      if (!then.contains(name)) sentences.push_back(sentence(name, what));
    }
  };
  compare(before.children, now.children,
          [](auto& pid, auto& what) { return "child process " + pid + " is left: " + what; });
  compare(before.threads, now.threads,
          [](auto& id, auto& name) { return "thread " + id + " ('" + name + "') is left running"; });
  compare(before.descriptors, now.descriptors,
          [](auto& number, auto& target) { return "descriptor " + number + " is left open: " + target; });
  compare(before.segments, now.segments, [](auto& name, auto& kind) { return kind + " is left: " + name; });
  compare(before.files, now.files, [](auto& path, auto& kind) { return kind + " is left: " + path; });
  for (auto& [number, target] : before.descriptors) {
    if (!now.descriptors.contains(number)) {
      sentences.push_back("descriptor " + number + " (" + target + ") was open before the test and is closed now");
    }
  }
  return sentences;
}

}  // namespace interleave
