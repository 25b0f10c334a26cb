#include <string.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "tool/commands.hpp"

namespace interleave {

namespace fs = std::filesystem;

std::string reset_file(const Exercise& exercise) {
  fs::path file = exercise.learner_file();
  std::error_code error;
  std::string kept;
  if (fs::exists(fs::symlink_status(file, error))) {
    char date[32];
    std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof(date), "%Y-%m-%d-%H%M%S", std::localtime(&now));
    // A name that no other reset of this second has taken.
    for (int n = 1; kept.empty() || fs::exists(kept); ++n) {
      kept = file.string() + "." + date + (n > 1 ? "-" + std::to_string(n) : "") + ".bak";
    }
  }
  // The new text is there, whole, before the old one moves away: a kill in between loses neither.
  fs::path fresh = file.string() + ".new";
  fs::copy_file(exercise.stub(), fresh, fs::copy_options::overwrite_existing, error);
  if (error)
    throw std::runtime_error("The file could not be reset: " + error.message() + " (" + fresh.string() +
                             "). Nothing was changed.");
  if (!kept.empty()) fs::rename(file, kept, error);
  if (!error) fs::rename(fresh, file, error);
  if (error)
    throw std::runtime_error("The file could not be reset: " + error.message() + ". Your text is in " +
                             (kept.empty() ? file.string() : kept) + ".");
  return kept;
}

int reset(Session& session, const std::string& name, bool yes) {
  const Exercise& exercise = session.exercise(name);
  if (!yes && !ask("Start " + exercise.slug + " again from the stub? Your text is kept beside it.", false)) {
    std::printf("Nothing was changed. Without a question: ./learn reset %s --yes\n", exercise.slug.c_str());
    return 1;
  }
  std::string kept = reset_file(exercise);
  session.progress.set_passed(exercise.slug, false);
  std::printf("%s is the stub again.\n", exercise.learner_file().c_str());
  if (!kept.empty()) std::printf("Your text is kept as %s\n", kept.c_str());
  return 0;
}

}  // namespace interleave
