#include "grader/submission.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace interleave {

namespace fs = std::filesystem;

namespace {

constexpr off_t largest_submission = 1 << 20;  // bytes: a hundred times what an answer needs

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
  std::ifstream there(to, std::ios::binary);
  if (there && std::string{std::istreambuf_iterator<char>(there), {}} == text) return "";
  fs::create_directories(to.parent_path(), error);
  std::ofstream file(to, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush())
    throw std::runtime_error("Cannot write " + to.string() + ": " + std::strerror(errno) + ". Make room.");
  return "";
}

}  // namespace interleave
