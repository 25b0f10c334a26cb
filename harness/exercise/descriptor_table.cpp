#include "exercise/descriptor_table.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace interleave {

namespace {

constexpr const char* report_option = "--report-descriptors-to";
constexpr std::string_view deleted = " (deleted)";  // what /proc adds to the name of every file in memory

// Not by std::ifstream: its descriptor can be inherited, and a thread of the learner's may fork at this moment.
std::string read_all(const std::string& path) {
  std::string text;
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return text;
  std::array<char, 4096> buffer;
  for (ssize_t got; (got = ::read(descriptor, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(descriptor);
  return text;
}

struct Listing {
  DIR* directory;
  explicit Listing(const std::string& path) : directory(::opendir(path.c_str())) {
    if (directory == nullptr) throw std::system_error(errno, std::generic_category(), "opendir " + path);
  }
  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;
  ~Listing() { ::closedir(directory); }
};

bool same_file(const struct stat& left, const struct stat& right) {
  return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

// The table under /proc/.../fd of a process or thread; `own` if it is the one that is looking.
DescriptorTable table_under(const std::string& process, bool own) {
  DescriptorTable table;
  Listing listing(process + "/fd");
  int in_use = ::dirfd(listing.directory);
  struct stat looked_at {};
  ::fstat(in_use, &looked_at);
  while (const dirent* entry = ::readdir(listing.directory)) {
    if (entry->d_name[0] == '.') continue;
    int number = std::atoi(entry->d_name);
    if (own && number == in_use) continue;
    std::string link = process + "/fd/" + entry->d_name;
    struct stat status {};
    std::array<char, 4096> target;
    ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
    if (length < 0 || ::stat(link.c_str(), &status) != 0) continue;  // closed in the meantime
    // In the table of another thread, which may or may not be shared, the number says nothing.
    if (!own && same_file(status, looked_at)) continue;
    std::string name(target.data(), static_cast<std::size_t>(length));
    if (name.ends_with(deleted)) name.resize(name.size() - deleted.size());
    OpenDescriptor open{std::move(name), status.st_dev, status.st_ino, 0, 0};
    std::istringstream info(read_all(process + "/fdinfo/" + entry->d_name));
    for (std::string key; info >> key;) {
      if (key == "pos:") info >> open.position;
      if (key == "flags:") info >> std::oct >> open.flags >> std::dec;
    }
    table.emplace(number, std::move(open));
  }
  return table;
}

std::string name_of(const DescriptorTable::value_type& entry) {
  return "descriptor " + std::to_string(entry.first) + " (" + entry.second.target + ")";
}

// In a program that was started as a reporter: reports and ends, before main and before any test.
__attribute__((constructor)) void report_if_asked() {
  std::vector<std::string> arguments;
  std::istringstream line(read_all("/proc/self/cmdline"));
  for (std::string argument; std::getline(line, argument, '\0');) arguments.push_back(argument);
  if (arguments.size() != 3 || arguments[1] != report_option) return;

  std::ostringstream text;
  for (auto& [number, open] : table_under("/proc/self", true)) {
    text << number << ' ' << open.device << ' ' << open.inode << ' ' << open.flags << ' ' << open.position << ' '
         << open.target << '\n';
  }
  int file = ::open(arguments[2].c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  std::string report = text.str();
  bool written = file >= 0 && ::write(file, report.data(), report.size()) == static_cast<ssize_t>(report.size());
  ::_exit(written ? 0 : 1);
}

}  // namespace

bool OpenDescriptor::close_on_exec() const { return (flags & O_CLOEXEC) != 0; }

DescriptorTable descriptor_table() { return descriptor_table_of(::gettid()); }

DescriptorTable descriptor_table_of(pid_t thread) {
  return table_under("/proc/self/task/" + std::to_string(thread), thread == ::gettid());
}

std::vector<std::string> changes(const DescriptorTable& before, const DescriptorTable& after) {
  std::vector<std::string> sentences;
  for (auto& entry : before) {
    auto now = after.find(entry.first);
    if (now == after.end()) {
      sentences.push_back(name_of(entry) + " is closed");
    } else if (now->second.device != entry.second.device || now->second.inode != entry.second.inode) {
      sentences.push_back(name_of(entry) + " refers to " + now->second.target);
    } else if (now->second.close_on_exec() != entry.second.close_on_exec()) {
      sentences.push_back(name_of(entry) +
                          (entry.second.close_on_exec() ? " is no longer close-on-exec" : " has become close-on-exec"));
    } else if (now->second.flags != entry.second.flags) {
      sentences.push_back(name_of(entry) + " has other flags");
    }
  }
  for (auto& entry : after) {
    if (before.contains(entry.first)) continue;
    sentences.push_back(name_of(entry) + " is new" +
                        (entry.second.close_on_exec() ? "" : ", and is not close-on-exec: any child inherits it"));
  }
  return sentences;
}

DescriptorReporter::DescriptorReporter() {
  int file = ::memfd_create("report", MFD_CLOEXEC);
  // A test that has closed its 0, 1 or 2 wants them to stay free.
  file_ = ::fcntl(file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  ::close(file);
  if (file_ < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
}

DescriptorReporter::~DescriptorReporter() { ::close(file_); }

std::vector<std::string> DescriptorReporter::command() const {
  std::array<char, 4096> program;
  ssize_t length = ::readlink("/proc/self/exe", program.data(), program.size());
  if (length < 0) throw std::system_error(errno, std::generic_category(), "readlink /proc/self/exe");
  return {std::string(program.data(), static_cast<std::size_t>(length)), report_option,
          "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_)};
}

DescriptorTable DescriptorReporter::report() const {
  DescriptorTable table;
  std::istringstream text(read_all("/proc/self/fd/" + std::to_string(file_)));
  int number = 0;
  OpenDescriptor open{};
  while (text >> number >> open.device >> open.inode >> open.flags >> open.position &&
         std::getline(text >> std::ws, open.target)) {
    table.emplace(number, open);
  }
  return table;
}

}  // namespace interleave
