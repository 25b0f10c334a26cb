#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tool/commands.hpp"

namespace interleave {

int list(Session& session, bool json) {
  const Exercise& current = session.current();
  nlohmann::json all = nlohmann::json::array();
  for (const Exercise& exercise : session.workbook.exercises) {
    bool passed = session.progress.of(exercise.slug).passed, started = session.progress.knows(exercise.slug);
    if (json) {
      all.push_back({{"id", exercise.id},
                     {"slug", exercise.slug},
                     {"file", exercise.learner_file().string()},
                     {"lenses", exercise.lenses},
                     {"passed", passed},
                     {"current", &exercise == &current}});
      continue;
    }
    std::string lenses;
    for (const std::string& lens : exercise.lenses) lenses += (lenses.empty() ? "" : " ") + lens;
    std::string state = passed ? session.style.pass() : started ? session.style.yellow("~") : session.style.dim("-");
    std::string line = fmt::format(" {:<5}{:<24}{}", exercise.id, exercise.slug, session.style.dim(lenses));
    fmt::print("{} {}{}\n", &exercise == &current ? ">" : " ", state, line);
  }
  if (json) std::printf("%s\n", all.dump(2).c_str());
  return 0;
}

}  // namespace interleave
