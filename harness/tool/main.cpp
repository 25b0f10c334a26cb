// The `learn` command: reads the command line and hands over to one function per command.

#include <unistd.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "tool/commands.hpp"
#include "tool/formats/formats.hpp"

int main(int argc, char** argv) {
  using namespace interleave;

  CLI::App app{"Interleave: a workbook on processes and threads. Without a command it watches the current exercise."};
  app.name("./learn");
  app.require_subcommand(0, 1);
  app.set_help_all_flag("--help-all", "Help of all commands");
  std::string language;
  bool yes = false;
  app.add_option("--lang", language, "Language of lessons and hints; else by LANG")->check(CLI::IsMember({"en", "ko"}));
  app.add_flag("-y,--yes", yes, "Answer every question with yes");
  app.fallthrough();

  std::string exercise;
  auto command = [&](const std::string& name, const std::string& what) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("ID", exercise, "4.3, semaphore or a path; without it the current exercise");
    return sub;
  };
  CheckOptions check_options;
  CLI::App* check_command = command("check", "Grade an exercise once");
  check_command->add_option("--lens", check_options.lens, "One lens alone");
  check_command->add_flag("--json", check_options.json, "The verdict as JSON");
  check_command->add_flag("--events", check_options.events)->group("");
  GradeOptions grade_options;
  CLI::App* grade_command = app.add_subcommand("grade", "Grade all exercises, and write the result down");
  grade_command->add_option("ID", grade_options.exercises, "These exercises alone");
  grade_command->add_flag("--partial", grade_options.partial, "Each lens gives its share of an exercise's score");
  auto* submission = grade_command->add_option("--submission", grade_options.submission,
                                               "Grade the exercise files of this checkout, which nobody trusts")
                         ->option_text("DIR");
  auto* trusted = grade_command->add_option("--trusted", grade_options.trusted,
                                            "Have this checkout grade: it uses the exercise files from here alone")
                      ->option_text("DIR")
                      ->excludes(submission);
  grade_command->add_option("--base", grade_options.base, "The same, with a commit of this repository")
      ->option_text("REF")
      ->excludes(submission)
      ->excludes(trusted);
  std::string format_names;
  for (const Format& format : formats()) format_names += fmt::format("\n{}: {}", format.name, format.what);
  grade_command
      ->add_option("--report", grade_options.reports,
                   "Write the result in this format, to the file or to standard output; may be given again" +
                       format_names)
      ->option_text("FORMAT[=FILE]")
      ->allow_extra_args(false);  // what follows is an ID
  CLI::App* list_command = app.add_subcommand("list", "All exercises, and how far you are");
  bool json = false;
  list_command->add_flag("--json", json, "As JSON");
  CLI::App* lesson_command = command("lesson", "The idea, in a page");
  CLI::App* hint_command = command("hint", "One more hint each time");
  CLI::App* reset_command = command("reset", "Start again from the stub; your text is kept");
  CLI::App* solution_command = command("solution", "The reference and the gallery of mistakes");
  CLI::App* diff_command = command("diff", "What you have changed");
  std::string token, html;
  CLI::App* replay_command = app.add_subcommand("replay", "A failing schedule, step by step");
  replay_command->add_option("TOKEN", token, "As ./learn check prints it below a timeline")->required();
  replay_command->add_option("--html", html, "Write a page to step through it beside the source")->option_text("FILE");
  CLI::App* doctor_command = app.add_subcommand("doctor", "Is everything there that the workbook needs?");
  VerifyOptions verify_options;
  CLI::App* verify_command = app.add_subcommand("verify", "The workbook's own tests");
  verify_command->add_option("ID", verify_options.exercises, "These exercises alone");
  verify_command->add_option("--lens", verify_options.lens, "One lens alone");
  verify_command->add_option("--repeat", verify_options.repeat, "Prove each solution so many times")
      ->check(CLI::PositiveNumber);
  verify_command->add_option("--seeds", verify_options.seeds, "Explore wrong answers from so many seeds (20)")
      ->check(CLI::PositiveNumber);
  verify_command
      ->add_option("--schedules", verify_options.schedules,
                   "Explore right answers, too, from each seed, for so many schedules of each test")
      ->check(CLI::PositiveNumber);
  verify_command->add_flag("--confined", verify_options.confined, "Run each solution as one that nobody trusts");
  CLI::App* prove_command =
      app.add_subcommand("prove", "One solution whose answer is known, through one lens")->group("");
  std::string prove_lens, solution_file;
  bool no_build = false;
  prove_command->add_option("--lens", prove_lens)->required();
  prove_command->add_flag("--no-build", no_build);
  prove_command->add_option("FILE", solution_file)->required();
  CLI::App* bench_command = app.add_subcommand("bench", "How fast the grader answers");
  CLI::App* latency_command =
      bench_command->add_subcommand("latency", "Time to a verdict against one bare compile, link and run");
  bench_command->require_subcommand(1);
  int repeats = 5;
  latency_command->add_option("ID", exercise, "One exercise alone");
  latency_command->add_option("--repeat", repeats, "Measurements of each")->check(CLI::PositiveNumber);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // a call for help ends here too
  }

  try {
    Session session = Session::open(language);
    check_options.exercise = exercise;
    if (check_command->parsed()) return check(session, check_options);
    if (grade_command->parsed()) return grade_exercises(session, grade_options);
    if (list_command->parsed()) return list(session, json);
    if (lesson_command->parsed()) return lesson(session, exercise);
    if (hint_command->parsed()) return hint(session, exercise);
    if (reset_command->parsed()) return reset(session, exercise, yes);
    if (solution_command->parsed()) return solution(session, exercise, yes);
    if (diff_command->parsed()) return diff(session, exercise);
    if (replay_command->parsed()) return replay(session, token, html);
    if (doctor_command->parsed()) return doctor(session);
    if (verify_command->parsed()) return verify(session, verify_options);
    if (prove_command->parsed()) return prove(session, solution_file, prove_lens, !no_build);
    if (latency_command->parsed()) return bench_latency(session, exercise, repeats);
    if (isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1) return watch(session);
    return check(session, check_options);  // nobody to watch with: one check
  } catch (const std::exception& error) {
    std::fprintf(stderr, "learn: %s\n", error.what());
    return 2;
  }
}
