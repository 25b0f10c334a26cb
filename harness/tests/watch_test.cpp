// The watch, driven through a pseudo-terminal as a person would.

#include <signal.h>
#include <sys/stat.h>

#include <thread>

#include "tests/fixture_workbook.hpp"
#include "tests/pseudo_terminal.hpp"

namespace interleave {
namespace {

namespace fs = std::filesystem;

class Watch : public FixtureWorkbook {
 protected:
  std::map<std::string, std::string> environment = {{"INTERLEAVE_WORKBOOK", root.string()},
                                                    {"TERM", "xterm"},
                                                    {"LANG", "C.UTF-8"},
                                                    {"LC_ALL", ""},
                                                    {"PAGER", "cat"},
                                                    {"TERM_PROGRAM", ""}};

  static bool is_whole(const PseudoTerminal& terminal) {
    termios settings = terminal.settings();
    return (settings.c_lflag & ICANON) != 0 && (settings.c_lflag & ECHO) != 0;
  }
};

TEST_F(Watch, ShowsTheFirstExerciseAndWhatIsNotDoneOnTheFirstStart) {
  PseudoTerminal terminal({program}, environment);
  EXPECT_TRUE(terminal.shows("1.1 answer"));
  EXPECT_TRUE(terminal.shows("not done yet: write int answer()")) << terminal.screen();
  EXPECT_TRUE(terminal.shows("chapters/01-fixture/01-answer/answer.hpp:8")) << terminal.screen();
  EXPECT_TRUE(terminal.shows("0 of 3"));
}

TEST_F(Watch, ExplainsASaveThatFailsAndASaveThatPasses) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  save("#pragma once\ninline int answer() { return 41; }\ninline bool is_answer(int value) { return value == 42; }\n");
  EXPECT_TRUE(terminal.shows("the answer to everything")) << terminal.screen();
  EXPECT_TRUE(terminal.shows("Answer.IsFortyTwo  wrong answer")) << terminal.screen();
  EXPECT_TRUE(terminal.shows("answer.hpp:2")) << terminal.screen();
  save(right_answer);
  EXPECT_TRUE(terminal.shows("Solved.")) << terminal.screen();
  EXPECT_TRUE(terminal.shows("1 of 3")) << terminal.screen();
  EXPECT_TRUE(terminal.shows("1.1 answer")) << "it never moves on by itself";
  terminal.type("n");
  EXPECT_TRUE(terminal.shows("1.2 specimen")) << terminal.screen();
}

TEST_F(Watch, SeesASaveByRename) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  save_by_rename(right_answer);
  EXPECT_TRUE(terminal.shows("Solved.")) << terminal.screen();
}

TEST_F(Watch, GoesToTheExerciseThatIsSaved) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  fs::path other = root / "chapters/01-fixture/03-counter/counter.hpp";
  std::ofstream(other, std::ios::app).close();  // saved as it was
  EXPECT_TRUE(terminal.shows("1.3 counter")) << terminal.screen();
  EXPECT_TRUE(terminal.shows("counter.hpp:")) << terminal.screen();
}

TEST_F(Watch, ASaveDuringACheckStartsAnew) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  // Compiles for as long as it takes, and then would spin until the watchdog comes.
  save(
      "#pragma once\n#include <atomic>\ninline int answer() { static std::atomic<int> zero; while (zero == 0) {} "
      "return 42; }\n"
      "inline bool is_answer(int value) { return value == 42; }\n");
  ASSERT_TRUE(terminal.shows("...")) << terminal.screen();
  save(right_answer);
  EXPECT_TRUE(terminal.shows("Solved.")) << terminal.screen();
}

TEST_F(Watch, ShowsOneMoreHintEachTime) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  terminal.type("h");
  EXPECT_TRUE(terminal.shows("What is six by nine?"));
  EXPECT_TRUE(terminal.shows("Press a key"));
  EXPECT_EQ(terminal.screen().find("base thirteen"), std::string::npos);
  terminal.type(" ");
  ASSERT_TRUE(terminal.shows("q quit"));
  terminal.type("h");
  EXPECT_TRUE(terminal.shows("base thirteen"));
}

TEST_F(Watch, SpeaksKoreanWhereTheLocaleDoes) {
  environment["LANG"] = "ko_KR.UTF-8";
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  terminal.type("l");
  EXPECT_TRUE(terminal.shows("픽스처의 레슨입니다."));
}

TEST_F(Watch, ResetKeepsTheOldTextAndSaysWhere) {
  save("// my work\n");
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("does not compile")) << terminal.screen();
  terminal.type("x");
  ASSERT_TRUE(terminal.shows("y/n"));
  terminal.type("y");
  ASSERT_TRUE(terminal.shows("Your text is kept as")) << terminal.screen();
  int kept = 0;
  for (const auto& entry : fs::directory_iterator(file.parent_path())) {
    if (entry.path().extension() != ".bak") continue;
    ++kept;
    std::ifstream stream(entry.path());
    std::string line;
    std::getline(stream, line);
    EXPECT_EQ(line, "// my work");
  }
  EXPECT_EQ(kept, 1);
}

TEST_F(Watch, AsksBeforeItShowsTheSolutionOfAnUnsolvedExercise) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  terminal.type("s");
  ASSERT_TRUE(terminal.shows("y/n"));
  terminal.type("n");
  ASSERT_TRUE(terminal.shows("q quit"));
  terminal.type("s");
  ASSERT_TRUE(terminal.shows("y/n"));
  terminal.type("y");
  EXPECT_TRUE(terminal.shows("off-by-one")) << terminal.screen();
}

TEST_F(Watch, OpensTheEditorOfTheEnvironment) {
  fs::path editor = root / "editor.sh", text = root / "text.hpp";
  std::ofstream(text) << right_answer;
  std::ofstream(editor) << "#!/bin/sh\ncp \"" << text.string() << "\" \"$1\"\n";
  fs::permissions(editor, fs::perms::owner_all);
  environment["VISUAL"] = "'" + editor.string() + "'";
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  terminal.type("e");
  EXPECT_TRUE(terminal.shows("Solved.")) << terminal.screen();
  fs::remove(editor);
  fs::remove(text);
}

TEST_F(Watch, LeavesTheTerminalWholeWhenItIsQuit) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("q quit"));
  EXPECT_FALSE(is_whole(terminal));
  terminal.type("q");
  EXPECT_EQ(terminal.wait_for_end(), 0);
  EXPECT_TRUE(is_whole(terminal));
}

TEST_F(Watch, LeavesTheTerminalWholeAfterControlC) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("q quit"));
  terminal.type("\x03");
  EXPECT_EQ(terminal.wait_for_end(), 0);
  EXPECT_TRUE(is_whole(terminal));
}

TEST_F(Watch, LeavesTheTerminalWholeWhenItIsKilledInTheMiddleOfACheck) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("...")) << terminal.screen();
  ::kill(terminal.pid(), SIGTERM);
  EXPECT_EQ(terminal.wait_for_end(), 0);
  EXPECT_TRUE(is_whole(terminal));
}

TEST_F(Watch, LeavesTheTerminalWholeAfterACrash) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  // The session runs in a child of the process that guards the terminal.
  std::ifstream children("/proc/" + std::to_string(terminal.pid()) + "/task/" + std::to_string(terminal.pid()) +
                         "/children");
  pid_t session = 0;
  ASSERT_TRUE(children >> session);
  ::kill(session, SIGSEGV);
  EXPECT_EQ(terminal.wait_for_end(), 128 + SIGSEGV);
  EXPECT_TRUE(is_whole(terminal));
  EXPECT_NE(terminal.screen().find("start it again with ./learn"), std::string::npos) << terminal.screen();
}

TEST_F(Watch, FitsTheWindowAfterAResize) {
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("n next"));
  ASSERT_TRUE(terminal.shows("not done yet"));
  terminal.resize(50, 24);
  EXPECT_TRUE(terminal.shows("n p l h e r d s x q")) << terminal.screen();
}

TEST_F(Watch, ShowsNoColoursWhenNotWanted) {
  environment["NO_COLOR"] = "1";
  PseudoTerminal terminal({program}, environment);
  ASSERT_TRUE(terminal.shows("not done yet"));
  EXPECT_EQ(terminal.raw().find("\x1b[3"), std::string::npos);
}

TEST_F(Watch, TwoWatchersAtOnceBothGiveTheVerdict) {
  PseudoTerminal one({program}, environment), other({program}, environment);
  ASSERT_TRUE(one.shows("not done yet"));
  ASSERT_TRUE(other.shows("not done yet"));
  save(right_answer);
  EXPECT_TRUE(one.shows("Solved.")) << one.screen();
  EXPECT_TRUE(other.shows("Solved.")) << other.screen();
}

}  // namespace
}  // namespace interleave
