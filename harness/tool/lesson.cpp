#include <algorithm>
#include <cstdio>

#include "tool/commands.hpp"
#include "tool/texts.hpp"

namespace interleave {

int lesson(Session& session, const std::string& name) {
  // "1" is the chapter, "1.1" its first exercise.
  if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos) {
    for (const Exercise& exercise : session.workbook.exercises) {
      if (!exercise.id.starts_with(name + ".")) continue;
      show_page(rendered(chapter_page(session, exercise), session.style));
      return 0;
    }
  }
  show_page(rendered(page(session, session.exercise(name), "lesson"), session.style));
  return 0;
}

int hint(Session& session, const std::string& name) {
  const Exercise& exercise = session.exercise(name);
  std::vector<std::string> hints = sections_of(page(session, exercise, "hints"));
  int all = static_cast<int>(hints.size());
  int shown = std::min(session.progress.of(exercise.slug).hints + 1, all);
  for (int i = 0; i < shown; ++i) {
    std::printf("%s\n%s\n", session.style.bold("Hint " + std::to_string(i + 1) + " of " + std::to_string(all)).c_str(),
                rendered(hints[static_cast<std::size_t>(i)], session.style).c_str());
  }
  session.progress.set_hints(exercise.slug, shown);
  return 0;
}

}  // namespace interleave
