#include <cstdio>
#include <system_error>

#include "grader/grade.hpp"
#include "grader/process.hpp"
#include "tool/commands.hpp"
#include "tool/texts.hpp"

namespace interleave {

int diff(Session& session, const std::string& name) {
  const Exercise& exercise = session.exercise(name);
  if (std::string trouble = trouble_with_file(exercise.learner_file(), exercise); !trouble.empty())
    throw UsageError(trouble);
  // What the learner has changed since the stub; against the reference too, once there is nothing left to give away.
  bool solved = session.progress.of(exercise.slug).passed;
  std::string text;
  for (const auto& [other, title] : {std::pair{exercise.stub(), "From the stub to your file"},
                                     {exercise.reference(), "From the reference to your file"}}) {
    if (other == exercise.reference() && !solved) continue;
    Command command;
    command.arguments = {"diff",    "-u",    "--label",      other.filename().string(),
                         "--label", "yours", other.string(), exercise.learner_file().string()};
    if (session.style.colour) command.arguments.insert(command.arguments.begin() + 1, "--color=always");
    Captured captured = run_and_capture(command);
    text += session.style.bold(title) + "\n" + (captured.text.empty() ? "  no difference\n" : captured.text) + "\n";
  }
  show_page(text);
  return 0;
}

}  // namespace interleave
