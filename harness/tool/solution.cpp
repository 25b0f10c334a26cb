#include <cstdio>
#include <fstream>

#include "tool/commands.hpp"
#include "tool/texts.hpp"

namespace interleave {

namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string relative(const Session& session, const std::filesystem::path& file) {
  return file.lexically_relative(session.workbook.root).string();
}

}  // namespace

int solution(Session& session, const std::string& name, bool yes) {
  const Exercise& exercise = session.exercise(name);
  if (!session.progress.of(exercise.slug).passed && !yes &&
      !ask("You have not solved " + exercise.slug + " yet. Show the solution all the same?", false)) {
    std::printf("Try ./learn hint %s first. Without a question: ./learn solution %s --yes\n", exercise.slug.c_str(),
                exercise.slug.c_str());
    return 1;
  }
  std::string text = session.style.bold("The reference, " + relative(session, exercise.reference())) + "\n\n" +
                     text_of(exercise.reference());
  std::string others, mistakes;
  for (const Solution& each : solutions_of(exercise)) {
    std::string entry = "  " + session.style.bold(each.name) + session.style.dim("  " + relative(session, each.file)) +
                        "\n" + fold(head_sentence_of(each.file), session.style.width, "    ");
    if (each.role == Solution::Role::right) others += entry;
    if (each.role == Solution::Role::wrong) mistakes += entry;
  }
  if (!others.empty()) text += "\n" + session.style.bold("Other right answers") + "\n" + others;
  if (!mistakes.empty()) text += "\n" + session.style.bold("The gallery of mistakes") + "\n" + mistakes;
  show_page(text);
  return 0;
}

}  // namespace interleave
