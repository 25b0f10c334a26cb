// Submissions that would rather have the marks than the answer, or that would harm the machine: each file in
// fixture/hostile/ says at its head what it does and which verdict it must get. None passes, and the machine is
// afterwards as it was before.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "grader/confinement.hpp"
#include "grader/grade.hpp"
#include "grader/submission.hpp"
#include "tests/fixture_workbook.hpp"

namespace interleave {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// What a submission could have left: names that the specimens use, System V objects with their key, mounts, and
// processes of their program.
std::multiset<std::string> stock_of_the_machine() {
  std::multiset<std::string> stock;
  for (const char* folder : {"/", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/root", "/home", "/sys/fs/cgroup"}) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      std::string name = it->path().filename();
      if (name.find("interleave-hostile") != std::string::npos) stock.insert(it->path());
    }
  }
  for (const char* kind : {"shm", "sem", "msg"}) {
    std::ifstream objects(std::string("/proc/sysvipc/") + kind);
    for (std::string line; std::getline(objects, line);) {
      if (line.find(std::to_string(0x1417)) != std::string::npos) stock.insert(kind);
    }
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) stock.insert(line);
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    fs::path program = fs::read_symlink(it->path() / "exe", gone);
    if (program.filename().string().starts_with("answer.submission")) stock.insert(it->path());
  }
  return stock;
}

// A checkout with the one file of exercise 1.1 in it, and what becomes of it.
class Submission {
 public:
  Submission() {
    std::string name = (fs::temp_directory_path() / "submission-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = name;
    fs::create_directories(file().parent_path());
  }
  Submission(const Submission&) = delete;
  Submission& operator=(const Submission&) = delete;
  ~Submission() { fs::remove_all(root_); }

  fs::path file() const { return root_ / "chapters/01-fixture/01-answer/answer.hpp"; }
  const Exercise& exercise() const { return workbook_.exercises.at(0); }
  std::string take() const { return take_submission(workbook_, exercise(), root_); }
  LensVerdict graded(const std::string& lens) const {
    Solution solution{Solution::Role::submission, workbook_.submission_file(exercise()), ""};
    return grade(workbook_, exercise(), solution, {lens}).lenses.at(0);
  }

 private:
  Workbook workbook_ = Workbook::open(fs::path(INTERLEAVE_FIXTURE));
  fs::path root_;
};

class Hostile : public ::testing::TestWithParam<fs::path> {};

std::vector<fs::path> specimens() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(__FILE__).parent_path() / "fixture/hostile"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST_P(Hostile, GetsItsVerdictAndLeavesNothing) {
  if (!Confinement::is_possible()) GTEST_SKIP() << "this machine cannot confine (bubblewrap, user namespaces)";
  std::smatch wanted;
  std::string text = text_of(GetParam());
  ASSERT_TRUE(std::regex_search(text, wanted, std::regex("// verdict: ([^\n]+)"))) << "has no line '// verdict: '";
  std::multiset<std::string> before = stock_of_the_machine();
  Submission submission;
  fs::copy_file(GetParam(), submission.file());
  ASSERT_EQ(submission.take(), "");
  LensVerdict verdict = submission.graded("plain");
  EXPECT_FALSE(verdict.passed);
  ASSERT_FALSE(verdict.failures.empty());
  EXPECT_EQ(std::string(name_of(verdict.failures.front().kind)), wanted[1].str())
      << verdict.failures.front().message << "\n"
      << verdict.failures.front().raw;
  EXPECT_EQ(stock_of_the_machine(), before);
}

INSTANTIATE_TEST_SUITE_P(Submissions, Hostile, ::testing::ValuesIn(specimens()), [](const auto& file) {
  std::string name = file.param.stem();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Submissions, PassWhenTheyAreRight) {
  Submission submission;
  std::ofstream(submission.file()) << "#pragma once\ninline int answer() { return 42; }\n"
                                      "inline bool is_answer(int value) { return value == 42; }\n";
  ASSERT_EQ(submission.take(), "");
  for (const std::string& lens : submission.exercise().lenses) {
    LensVerdict verdict = submission.graded(lens);
    EXPECT_TRUE(verdict.passed) << lens << ": " << (verdict.failures.empty() ? "" : verdict.failures.front().message);
  }
}

TEST(Submissions, MayHaveFunctionsForCWithNamesOfTheirOwn) {
  Submission submission;
  std::ofstream(submission.file()) << "#pragma once\nextern \"C\" int gettid() noexcept;\n"
                                      "extern \"C\" inline int my_entry(int value) { return value; }\n"
                                      "extern \"C\" {\ninline int my_other_entry() { return my_entry(42); }\n}\n"
                                      "struct Event {\n  void wait() {}\n};\n"
                                      "inline int answer() { return my_other_entry(); }\n"
                                      "inline bool is_answer(int value) { return value == 42; }\n";
  ASSERT_EQ(submission.take(), "");
  LensVerdict verdict = submission.graded("plain");
  EXPECT_TRUE(verdict.passed) << (verdict.failures.empty() ? "" : verdict.failures.front().message);
}

TEST(Submissions, AreOneRegularFileForEachExercise) {
  Submission submission;
  EXPECT_NE(submission.take().find("is not in the submission"), std::string::npos) << submission.take();
  fs::create_symlink("/etc/passwd", submission.file());
  EXPECT_NE(submission.take().find("is a link"), std::string::npos) << submission.take();
  fs::remove(submission.file());
  fs::create_directory(submission.file());
  EXPECT_NE(submission.take().find("no regular file"), std::string::npos) << submission.take();
  fs::remove(submission.file());
  ASSERT_EQ(::mkfifo(submission.file().c_str(), 0600), 0);
  EXPECT_NE(submission.take().find("no regular file"), std::string::npos) << submission.take();
  fs::remove(submission.file());
  std::ofstream(submission.file()) << std::string((1 << 20) + 1, ' ');
  EXPECT_NE(submission.take().find("larger than a mebibyte"), std::string::npos) << submission.take();
}

}  // namespace
}  // namespace interleave
