#include <algorithm>
#include <cstdio>

#include "tool/commands.hpp"
#include "tool/texts.hpp"

namespace interleave {

int lesson(Session& session, const std::string& name) {
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
