#include "grader/submission.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

namespace interleave {

namespace fs = std::filesystem;

namespace {

constexpr off_t largest_submission = 1 << 20;  // bytes: a hundred times what an answer needs

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool is_same_file(const fs::path& one, const fs::path& other) {
  std::error_code error;
  fs::file_status status = fs::symlink_status(one, error), other_status = fs::symlink_status(other, error);
  if (status.type() != other_status.type()) return false;
  if (fs::is_symlink(status)) return fs::read_symlink(one, error) == fs::read_symlink(other, error);
  if (!fs::is_regular_file(status) || fs::file_size(one, error) != fs::file_size(other, error)) return false;
  return text_of(one) == text_of(other);
}

}  // namespace

std::string take_submission(const Workbook& workbook, const Exercise& exercise, const fs::path& submission) {
  std::string name = exercise.learner_file().lexically_relative(workbook.root).string();
  fs::path to = workbook.submission_file(exercise);
  std::error_code error;
  // A link could name a file of this machine; a FIFO would never end.
  int descriptor = ::open((submission / name).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat status {};
  std::string trouble;
  if (descriptor < 0) {
    trouble = errno == ENOENT  ? name + " is not in the submission."
              : errno == ELOOP ? name + " is a link. Hand in the file itself."
                               : name + " cannot be read: " + std::strerror(errno) + ".";
  } else if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    trouble = name + " is no regular file.";
  } else if (status.st_size > largest_submission) {
    trouble = name + " is larger than a mebibyte.";
  }
  std::string text;
  if (trouble.empty()) {
    text.resize(static_cast<std::size_t>(status.st_size));
    ssize_t got = ::read(descriptor, text.data(), text.size());
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  }
  if (descriptor >= 0) ::close(descriptor);
  if (!trouble.empty()) {
    fs::remove(to, error);
    return trouble;
  }

  // Not written where nothing changes: the same text need not be compiled again.
  if (fs::exists(to, error) && text_of(to) == text) return "";
  fs::create_directories(to.parent_path(), error);
  std::ofstream file(to, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush())
    throw std::runtime_error("Cannot write " + to.string() + ": " + std::strerror(errno) + ". Make room.");
  return "";
}

Verdict as_submitted(const Verdict& verdict, const Workbook& workbook, const Exercise& exercise) {
  std::string text = nlohmann::json(verdict).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string from = workbook.submission_file(exercise).string(), to = exercise.learner_file().string();
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return nlohmann::json::parse(text).get<Verdict>();
}

std::vector<std::string> changed_elsewhere(const Workbook& workbook, const fs::path& submission) {
  constexpr std::size_t most = 1000;
  std::set<fs::path> edited;
  for (const Exercise& each : workbook.exercises) edited.insert(each.learner_file().lexically_relative(workbook.root));
  const std::set<fs::path> not_of_the_workbook = {".git", ".learn", "build"};

  std::vector<std::string> changed;
  std::error_code error;
  fs::recursive_directory_iterator it(submission, fs::directory_options::skip_permission_denied, error), end;
  for (; !error && it != end && changed.size() < most; it.increment(error)) {
    fs::path name = it->path().lexically_relative(submission);
    if (it.depth() == 0 && not_of_the_workbook.contains(name)) {
      it.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) continue;
    if (edited.contains(name) || name.extension() == ".bak") continue;
    if (!is_same_file(it->path(), workbook.root / name)) changed.push_back(name.string());
  }
  std::sort(changed.begin(), changed.end());
  return changed;
}

}  // namespace interleave
