// Grading: scores, and every format against the schema or the validator of those who read it.

#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "grader/verdict.hpp"
#include "tests/fixture_workbook.hpp"
#include "tool/formats/formats.hpp"
#include "tool/session.hpp"

namespace interleave {
namespace {

namespace fs = std::filesystem;

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::map<std::string, std::string> classroom50 = {{"ASSIGNMENT", "threads"},
                                                        {"ASSIGNMENT_TYPE", "individual"},
                                                        {"CLASSROOM", "systems"},
                                                        {"COMMIT_URL", "https://example.org/commit/1"},
                                                        {"OWNER", "alice"},
                                                        {"RELEASE_URL", "https://example.org/releases/1"},
                                                        {"REVIEW_URL", "https://example.org/compare/1"},
                                                        {"SUBMISSION_TAG", "submit/2026-06-01T14-32-05Z-a1b2c3d"}};

// What is no XML, no Markdown, no JSON, no command to a runner, no UTF-8, and for a terminal to obey.
const std::string hostile =
    "]]> \"'<&>|` %0A ##[error]x\n::error "
    "file=x::y\n::stop-commands::z\r\n</pre><script>\xEF\xBF\xBF\xFF\xC0\x80\x1b[2J\x01\x7F";

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Captured run(std::vector<std::string> arguments, const fs::path& directory = INTERLEAVE_FORMATS) {
  Command command;
  command.arguments = std::move(arguments);
  command.directory = directory.string();
  return run_and_capture(command);
}

// The validators, in the build tree. Says why not, if there are none.
std::string missing_validators() {
  static const std::string missing = [] {
    fs::create_directories(INTERLEAVE_FORMATS);
    for (const char* program : {"node", "npm"}) {
      if (run({"sh", "-c", std::string("command -v ") + program}).ending.status != 0)
        return "it needs node and npm (Debian: apt-get install nodejs npm)";
    }
    for (const auto& entry : fs::directory_iterator(INTERLEAVE_SOURCE "/harness/tests/formats"))
      fs::copy(entry.path(), fs::path(INTERLEAVE_FORMATS) / entry.path().filename(),
               fs::copy_options::overwrite_existing);
    fs::copy(INTERLEAVE_SOURCE "/docs/grade.schema.json", INTERLEAVE_FORMATS, fs::copy_options::overwrite_existing);
    Captured installed = run({"npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"});
    EXPECT_EQ(installed.ending.status, 0) << installed.text;
    return "";
  }();
  return missing;
}

// What is wrong with a file; empty if nothing.
std::string complaint_about(const std::string& format, const fs::path& file) {
  Captured checked = run({"node", "validate.mjs", format, file.string()});
  return checked.ending.status == 0 ? "" : checked.text + text_of(file);
}

class Grade : public FixtureWorkbook {
 protected:
  Grade() {
    fs::create_directories(reports);
    reset_counter();
  }
  ~Grade() override {
    fs::remove_all(reports);
    reset_counter();
  }
  void reset_counter() const { put_counter("stub.hpp"); }
  void put_counter(const std::string& solution) const {
    fs::copy_file(root / "solutions/01-fixture/03-counter" / solution, counter, fs::copy_options::overwrite_existing);
  }

  std::string file_of(const std::string& format) const { return (reports / (format + ".report")).string(); }
  std::vector<std::string> all_formats() const {
    std::vector<std::string> arguments;
    for (const Format& format : formats()) {
      arguments.push_back("--report");
      arguments.push_back(std::string(format.name) + "=" + file_of(std::string(format.name)));
    }
    return arguments;
  }
  nlohmann::json graded_as_json(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"grade", "--report", "json=" + file_of("json")});
    learn(arguments);
    return nlohmann::json::parse(text_of(file_of("json")));
  }

  const fs::path reports = root / "reports";
  const fs::path counter = root / "chapters/01-fixture/03-counter/counter.hpp";
};

TEST_F(Grade, CountsAnExerciseWhoseLensesAllPassByItsWeight) {
  save(right_answer);
  Captured failed = learn({"grade", "1.1", "1.3", "answer"});
  EXPECT_EQ(failed.ending.status, 1) << failed.text;
  EXPECT_THAT(failed.text, HasSubstr("1 of 1\n")) << "1.1, named twice and graded once";
  EXPECT_THAT(failed.text, HasSubstr("0 of 2\n"));
  EXPECT_THAT(failed.text, EndsWith("Score 1 of 3\n"));
  EXPECT_THAT(failed.text, HasSubstr("explore: not done, Counter.LosesNoIncrement"));
  Captured passed = learn({"grade", "1.1"});
  EXPECT_EQ(passed.ending.status, 0) << passed.text;
  EXPECT_THAT(passed.text, EndsWith("Score 1 of 1\n"));
}

TEST_F(Grade, GivesEachLensItsShareIfAskedTo) {
  fs::copy_file(root / "solutions/01-fixture/01-answer/wrong/overflows.hpp", file,
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(graded_as_json({"1.1"}).at("score"), 0.0);
  auto partial = graded_as_json({"1.1", "--partial"});
  EXPECT_EQ(partial.at("score"), 0.5) << partial.dump(2);
  EXPECT_EQ(partial.at("max_score"), 1.0);
}

TEST_F(Grade, ChangesNoProgress) {
  save(right_answer);
  learn({"grade", "1.1"});
  EXPECT_FALSE(nlohmann::json::parse(learn({"list", "--json"}).text).at(0).at("passed").get<bool>());
}

TEST_F(Grade, GivesAReportOnStandardOutputTheOutputToItself) {
  save(right_answer);
  Captured captured =
      run({"sh", "-c", "INTERLEAVE_WORKBOOK=" + root.string() + " " + program + " grade 1.1 --report json 2>/dev/null"},
          root);
  EXPECT_TRUE(nlohmann::json::parse(captured.text).at("passed").get<bool>());
}

TEST_F(Grade, EveryFormatIsWhatItsReadersAskFor) {
  if (std::string missing = missing_validators(); !missing.empty()) GTEST_SKIP() << missing;
  put_counter("wrong/reads-then-writes.hpp");
  const std::map<std::string, std::string> answers = {
      {"is right", right_answer},
      {"is not done", text_of(root / "solutions/01-fixture/01-answer/stub.hpp")},
      {"does not compile", "#pragma once\ninline int answer() { return \"]]>\\n%0A::error::<&>\"; }\n"},
      {"is empty", ""},
      {"is hostile",
       "#pragma once\n#include <cstdio>\n#include <stdexcept>\ninline bool is_answer(int value) { return value == 42; "
       "}\n"
       "inline int answer() {\n  std::puts(R\"x(" +
           hostile + ")x\");\n  throw std::runtime_error(R\"x(" + hostile + ")x\");\n}\n"},
  };
  for (const auto& [what, answer] : answers) {
    SCOPED_TRACE("the answer " + what);
    save(answer);
    std::vector<std::string> arguments = {"grade", "1.1", "1.3"};
    if (what != "is right") arguments.push_back("--partial");
    std::vector<std::string> all = all_formats();
    arguments.insert(arguments.end(), all.begin(), all.end());
    Captured captured = learn(arguments, classroom50);
    EXPECT_EQ(captured.ending.status, 1) << captured.text;
    for (const char* format : {"json", "junit", "gradescope", "classroom50", "classroom"})
      EXPECT_EQ(complaint_about(format, file_of(format)), "");
    std::istringstream lines(captured.text);
    for (std::string line; std::getline(lines, line);) {
      // The runner of GitHub obeys a line that begins with the one, and then does not look for the other.
      if (std::regex_search(line, std::regex(R"(^\s*::|##\[)")))
        EXPECT_THAT(line, StartsWith("::error file=chapters/01-fixture/")) << captured.text;
    }
  }
  EXPECT_THAT(text_of(file_of("text")), HasSubstr("loads value_ = 0")) << "the timeline of 1.3";
  EXPECT_THAT(text_of(file_of("github")), HasSubstr("1.3 counter | ❌ explore: wrong answer | 0 of 2 |"));
}

TEST_F(Grade, NamesAndTestsMayHoldAnything) {
  if (std::string missing = missing_validators(); !missing.empty()) GTEST_SKIP() << missing;
  Workbook workbook = Workbook::open(root);
  for (bool partial : {false, true}) {
    GradeReport report(workbook, partial);
    LensVerdict lens;
    lens.lens = "plain";
    lens.tests = {hostile, "Answer.IsSkipped"};
    lens.not_reported = {hostile + "2"};
    lens.skipped = {{"Answer.IsSkipped", hostile}};
    lens.output = hostile + std::string(1 << 20, 'x');
    lens.failures = {{FailureKind::crash, hostile, hostile, {hostile, 3}, {hostile, 4}, {hostile, hostile}, hostile},
                     {FailureKind::leak, "", hostile, {}, {}, {}, ""}};
    report.add(workbook.exercises.at(0), {"1.1", "answer", (root / "chapters/answer.hpp").string(), {lens, lens}});
    report.service = classroom50;
    report.graded_at = "2026-06-01T14:33:11Z";
    for (const Format& format : formats()) {
      std::string name(format.name);
      std::ofstream(file_of(name)) << format.text(report);
      if (name == "text" || name == "github") continue;
      EXPECT_EQ(complaint_about(name, file_of(name)), "");
    }
    EXPECT_THAT(as_github_summary(report), Not(HasSubstr("<script>")));
    std::string annotations = as_github_annotations(report);
    EXPECT_EQ(std::count(annotations.begin(), annotations.end(), '\n'), 1) << annotations;
    EXPECT_EQ(annotations.find_first_of("\x1b\r\x01"), std::string::npos);
  }
}

TEST_F(Grade, SaysTheSameAgain) {
  put_counter("wrong/reads-then-writes.hpp");
  auto without_times = [](nlohmann::json json) {
    for (auto& exercise : json.at("exercises")) {
      for (auto& lens : exercise.at("lenses")) {
        lens.erase("build_seconds");
        lens.erase("run_seconds");
      }
    }
    return json.dump(2);
  };
  EXPECT_EQ(without_times(graded_as_json({"1.1", "1.3"})), without_times(graded_as_json({"1.3", "1.1"})));
}

TEST_F(Grade, NumbersProcessesAsTheyAppear) {
  Workbook workbook = Workbook::open(root);
  GradeReport report(workbook, false);
  LensVerdict lens;
  lens.lens = "plain";
  lens.failures = {{FailureKind::deadlock,
                    "",
                    "child process 4712 is left: still running, 'answer'",
                    {},
                    {},
                    {"the test's process 4711, thread 4713 waits in a futex", "child process 4712 waits in wait4",
                     "process 2 came first"},
                    ""}};
  report.add(workbook.exercises.at(0), {"1.1", "answer", "", {lens}});
  const Failure& failure = report.exercises().at(0).verdict.lenses.at(0).failures.at(0);
  EXPECT_EQ(failure.details.at(0), "the test's process 1, thread 2 waits in a futex");
  EXPECT_EQ(failure.details.at(1), "child process 3 waits in wait4");
  EXPECT_EQ(failure.details.at(2), "process 2 came first") << "a learner's words stay";
  EXPECT_EQ(failure.message, "child process 3 is left: still running, 'answer'");
}

TEST_F(Grade, WhatThisMachineCannotJudgeIsSaid) {
  Workbook workbook = Workbook::open(root);
  GradeReport report(workbook, false);
  LensVerdict lens;
  lens.lens = "plain";
  lens.passed = true;
  lens.tests = {"Answer.IsFortyTwo"};
  lens.skipped = {{"Answer.IsFortyTwo", "one CPU"}};
  report.add(workbook.exercises.at(0), {"1.1", "answer", "", {lens}});
  EXPECT_THAT(as_text(report), HasSubstr("not judged here, one CPU: Answer.IsFortyTwo"));
  EXPECT_THAT(as_junit(report), HasSubstr("<skipped>not judged on this machine: one CPU</skipped>"));
  EXPECT_THAT(as_github_summary(report), HasSubstr("(not all judged on this machine)"));
  for (auto write : {as_json, as_gradescope}) EXPECT_THAT(write(report), HasSubstr("one CPU"));
}

TEST_F(Grade, OnGitHubTheSummaryGoesWhereTheServiceSays) {
  std::ofstream(file_of("summary")) << "before\n";
  Captured captured = learn({"grade", "1.1", "--report", "github"}, {{"GITHUB_STEP_SUMMARY", file_of("summary")}});
  EXPECT_THAT(text_of(file_of("summary")), StartsWith("before\n## Score 0 of 1\n"));
  EXPECT_THAT(captured.text, HasSubstr("::error file=chapters/01-fixture/01-answer/answer.hpp,line=8,"
                                       "title=1.1 answer%3A not done (plain)::Answer.IsFortyTwo%0Anot done yet"));
  EXPECT_THAT(said({"grade", "1.1", "--report", "github"}), HasSubstr("GITHUB_STEP_SUMMARY is not set. Name one"));
}

TEST_F(Grade, BadInputIsRefusedBeforeAnythingIsGraded) {
  auto refused = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"grade"});
    Captured captured = learn(arguments);
    EXPECT_EQ(captured.ending.status, 2) << captured.text;
    EXPECT_EQ(captured.text.find("Score"), std::string::npos) << captured.text;
    return captured.text;
  };
  EXPECT_THAT(refused({"anwser"}), HasSubstr("Did you mean 1.1 answer?"));
  EXPECT_THAT(refused({""}), HasSubstr("An ID is empty."));
  EXPECT_THAT(refused({"--frobnicate"}), HasSubstr("--help"));
  EXPECT_THAT(refused({"--report", "xml"}),
              HasSubstr("There is no report 'xml'. There are: text, json, junit, github, gradescope, classroom50"));
  EXPECT_THAT(refused({"--report", "json="}), HasSubstr("names no file"));
  EXPECT_THAT(refused({"--report", "json=/nonexistent/grade.json"}),
              HasSubstr("Cannot write /nonexistent/grade.json: No such file or directory. Name a file"));
  EXPECT_THAT(refused({"--report", "json=" + reports.string()}), HasSubstr("Is a directory"));
  EXPECT_THAT(
      refused({"--report", "json=" + file_of("x"), "--report", "junit=" + (reports / "." / "x.report").string()}),
      HasSubstr("Two reports go to"));
  EXPECT_THAT(refused({"--report", "json", "--report", "junit"}), HasSubstr("Two reports go to standard output."));
  EXPECT_THAT(refused({"--report", "classroom50"}), HasSubstr("ASSIGNMENT ASSIGNMENT_TYPE CLASSROOM COMMIT_URL OWNER"));
  EXPECT_THAT(refused({"--report", "json=" + file.string()}), HasSubstr("is in the folder of exercise answer"));
  EXPECT_THAT(text_of(file), HasSubstr("not_done")) << "the learner's text is as it was";
}

TEST_F(Grade, AReportThatDoesNotFitIsAnError) {
  Captured captured = learn({"grade", "1.1", "--report", "json=/dev/full"});
  EXPECT_EQ(captured.ending.status, 2);
  EXPECT_THAT(captured.text, HasSubstr("could not be written whole: No space left on device"));
}

TEST_F(Grade, AMissingFileAndADirectoryCountNothing) {
  fs::remove(file);
  EXPECT_THAT(said({"grade", "1.1"}), HasSubstr("plain: does not compile"));
  fs::create_directory(file);
  std::string text = text_of(graded_as_json({"1.1"}).is_null() ? "" : file_of("json"));
  EXPECT_THAT(text, HasSubstr("is a directory. Move it away"));
}

TEST_F(Grade, OfASubmissionItUsesTheExerciseFilesAlone) {
  fs::path submission = reports / "submission";
  fs::create_directories(submission / "chapters/01-fixture/01-answer");
  std::ofstream(submission / "chapters/01-fixture/01-answer/answer.hpp") << right_answer;
  std::ofstream(submission / "chapters/01-fixture/01-answer/answer_test.cpp") << "// no test, no failure\n";
  fs::create_symlink("/etc/passwd", submission / "notes");
  nlohmann::json grade = graded_as_json({"1.1", "1.3", "--submission", submission.string()});
  EXPECT_EQ(grade["exercises"][0]["passed"], true) << "the stub is in this checkout, the answer in the submission";
  EXPECT_EQ(grade["exercises"][1]["passed"], false) << "it has no file for this one";
  EXPECT_THAT(grade["exercises"][1].dump(), HasSubstr("is not in the submission"));
  EXPECT_EQ(grade["submission"]["not_used"],
            nlohmann::json({"chapters/01-fixture/01-answer/answer_test.cpp", "notes"}));
  EXPECT_THAT(
      said({"grade", "1.1", "--submission", submission.string()}),
      HasSubstr("Changed outside of the exercises, and not used: chapters/01-fixture/01-answer/answer_test.cpp"));
}

TEST_F(Grade, ByWhatIsNoCheckoutIsRefused) {
  EXPECT_THAT(said({"grade", "--submission", reports.string()}), HasSubstr("is no checkout of the workbook"));
  EXPECT_THAT(said({"grade", "--trusted", reports.string()}), HasSubstr("has no ./learn"));
  EXPECT_THAT(said({"grade", "--base", "no-such-branch"}), HasSubstr("There is no commit 'no-such-branch'"));
  EXPECT_THAT(said({"grade", "--trusted", ".", "--submission", "."}), HasSubstr("--submission"));
}

const fs::path source = INTERLEAVE_SOURCE;

TEST(Workflows, AreSound) {
  if (std::string missing = missing_validators(); !missing.empty()) GTEST_SKIP() << missing;
  for (const auto& entry : fs::directory_iterator(source / ".github/workflows"))
    EXPECT_EQ(complaint_about("workflow", entry.path()), "");
  EXPECT_EQ(complaint_about("workflow", source / "ci/github-classroom.yml"), "");
}

TEST(Workflows, GradeAllChaptersThatHaveExercises) {
  Captured listed = run({"ci/list-chapters"}, source);
  ASSERT_THAT(listed.text, StartsWith("chapters=["));
  auto chapters = nlohmann::json::parse(listed.text.substr(listed.text.find('[')));
  std::string for_gitlab = text_of(source / "ci/gitlab.yml");
  for (const std::string& chapter : chapters.get<std::vector<std::string>>())
    EXPECT_THAT(for_gitlab, HasSubstr("- " + chapter + "\n"));
  Captured none = run({"sh", "-c", "CHAPTERS=99 ci/list-chapters"}, source);
  EXPECT_EQ(none.ending.status, 1);
  EXPECT_THAT(none.text, HasSubstr("No chapter with exercises begins with: 99."));
  EXPECT_THAT(run({"ci/grade-chapter", "99-none"}, source).text, HasSubstr("chapters/99-none has no exercises."));
}

TEST(Workflows, ScriptsAreSound) {
  if (run({"sh", "-c", "command -v shellcheck"}, source).ending.status != 0)
    GTEST_SKIP() << "it needs shellcheck (Debian: apt-get install shellcheck)";
  Captured checked =
      run({"sh", "-c", "shellcheck ci/list-chapters ci/install-toolchain ci/grade-chapter ci/gradescope/*"}, source);
  EXPECT_EQ(checked.ending.status, 0) << checked.text;
}

}  // namespace
}  // namespace interleave
