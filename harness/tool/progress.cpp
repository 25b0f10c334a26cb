#include "tool/progress.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace interleave {

namespace fs = std::filesystem;

namespace {

constexpr const char* heading = "# Interleave: your progress. Written by ./learn, a line per exercise.";

bool is_slug(const std::string& text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

// "<slug> passed|started [hints=N]" or "current <slug>"
bool parse_line(const std::string& line, std::map<std::string, ExerciseProgress>& exercises, std::string& current) {
  std::istringstream words(line);
  std::string first, second, third, rest;
  words >> first >> second >> third >> rest;
  if (!rest.empty() || !is_slug(first)) return false;
  if (first == "current") {
    if (!is_slug(second) || !third.empty()) return false;
    current = second;
    return true;
  }
  if (second != "passed" && second != "started") return false;
  ExerciseProgress progress{second == "passed", 0};
  if (!third.empty()) {
    if (third.size() != 7 || !third.starts_with("hints=") || third[6] < '0' || third[6] > '3') return false;
    progress.hints = third[6] - '0';
  }
  exercises[first] = progress;
  return true;
}

}  // namespace

Progress::Progress(fs::path directory) : directory_(std::move(directory)), file_(directory_ / "progress") { read(); }

ExerciseProgress Progress::of(const std::string& slug) const {
  auto it = exercises_.find(slug);
  return it == exercises_.end() ? ExerciseProgress{} : it->second;
}

void Progress::read() {
  exercises_.clear();
  current_.clear();
  std::ifstream file(file_);
  std::string aside;
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    if (parse_line(line, exercises_, current_)) continue;
    aside += line + "\n";
    ++count;
  }
  if (count == 0) return;
  fs::path beside = directory_ / "progress.unknown";
  std::ofstream out(beside, std::ios::app);
  out << aside;
  out.close();
  warning_ = std::to_string(count) + (count == 1 ? " line" : " lines") + " of " + file_.string() +
             " could not be understood and " + (count == 1 ? "was" : "were") +
             (out ? " moved to " + beside.string() : " ignored") + ".";
  if (out) write();
}

void Progress::write() const {
  std::string text = std::string(heading) + "\n";
  if (!current_.empty()) text += "current " + current_ + "\n";
  for (const auto& [slug, progress] : exercises_) {
    text += slug + (progress.passed ? " passed" : " started");
    if (progress.hints > 0) text += " hints=" + std::to_string(progress.hints);
    text += "\n";
  }
  auto fail = [&](int error) {
    throw std::runtime_error("Your progress could not be written to " + file_.string() + ": " + strerror(error) +
                             ". Your solution is not affected; make room or allow writing there.");
  };
  std::string temporary = file_.string() + ".new." + std::to_string(::getpid());
  int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(errno);
  bool written =
      ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(descriptor) == 0;
  int error = errno;
  ::close(descriptor);
  if (!written || ::rename(temporary.c_str(), file_.c_str()) != 0) {
    if (written) error = errno;
    ::unlink(temporary.c_str());
    fail(error);
  }
}

template <typename Change>
void Progress::change(Change change) {
  std::error_code ignored;
  fs::create_directories(directory_, ignored);
  int lock = ::open((directory_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  while (lock >= 0 && ::flock(lock, LOCK_EX) != 0 && errno == EINTR) {
  }
  try {
    read();
    change();
    write();
  } catch (...) {
    if (lock >= 0) ::close(lock);
    throw;
  }
  if (lock >= 0) ::close(lock);
}

void Progress::set_passed(const std::string& slug, bool passed) {
  change([&] { exercises_[slug].passed = passed; });
}

void Progress::set_hints(const std::string& slug, int hints) {
  change([&] { exercises_[slug].hints = hints; });
}

void Progress::set_current(const std::string& slug) {
  change([&] { current_ = slug; });
}

}  // namespace interleave
