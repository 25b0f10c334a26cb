#include "grader/timeline.hpp"

#include <algorithm>

namespace interleave {

namespace {

std::string short_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// What an object is called as long as nobody has given it a name.
std::string sort_of_object(const std::string& operation) {
  static const std::map<std::string, std::string> sorts = {
      {"locks", "mutex"},
      {"unlocks", "mutex"},
      {"tries to lock", "mutex"},
      {"waits", "condition"},
      {"is woken", "condition"},
      {"times out", "condition"},
      {"notifies one", "condition"},
      {"notifies all", "condition"},
      {"loads", "atomic"},
      {"stores", "atomic"},
      {"exchanges", "atomic"},
      {"wakes", "atomic"},
      {"reads", "variable"},
      {"writes", "variable"},
      {"acquires", "semaphore"},
      {"posts", "semaphore"},
      {"arrives", "barrier"},
      {"locks shared", "shared mutex"},
  };
  auto it = sorts.find(operation);
  return it == sorts.end() ? "" : it->second;
}

}  // namespace

TimelineReader::TimelineReader(const nlohmann::json& event, const std::string& learner_file,
                               const std::string& test_file)
    : program_(event.value("program", "")), learner_file_(learner_file), test_file_(test_file) {
  timeline_.strategy = event.value("strategy", "");
  timeline_.schedule = event.value("schedules", std::uint64_t{0});
  timeline_.token = event.value("token", "");
  std::map<int, Place> latest;  // by thread
  const nlohmann::json none = nlohmann::json::array();
  for (const nlohmann::json& step : event.contains("steps") ? event["steps"] : none) {
    // An object is written as plain memory when it is made; what it is shows later.
    std::string sort = sort_of_object(step.value("operation", ""));
    std::string& known = sorts_[step.value("object", std::uint64_t{0})];
    if (known.empty() || known == "variable") known = sort;
  }
  for (const nlohmann::json& step : event.contains("steps") ? event["steps"] : none) {
    TimelineRow row;
    row.thread = step.value("thread", 0);
    row.operation = step.value("operation", "");
    timeline_.threads = std::max(timeline_.threads, row.thread + 1);
    row.place = place_of(step.value("frames", none));
    if (step.contains("value")) row.value = std::to_string(step["value"].get<std::uint64_t>());
    if (row.operation == "creates" || row.operation == "joins") {
      row.object = "T" + row.value;
      row.value.clear();
    } else if (std::uint64_t object = step.value("object", std::uint64_t{0}); object != 0) {
      row.object = name_of_object(object, row.operation);
    }
    if (row.operation.starts_with("notifies") || row.operation == "wakes")
      row.value = row.value == "0" ? "nobody waits" : row.value == "1" ? "wakes 1" : "wakes " + row.value;
    if (row.place.line > 0) latest[row.thread] = row.place;
    if (row.place.file == learner_file_) last_learner_line_ = row.place;
    timeline_.rows.push_back(std::move(row));
  }
  for (const nlohmann::json& each : event.contains("waiting") ? event["waiting"] : none) {
    int thread = each.value("thread", 0), held_by = each.value("held_by", -1);
    std::string what = each.value("waits_for", "");
    std::string sentence = "T" + std::to_string(thread) + " waits for " + what;
    std::uint64_t object = each.value("object", std::uint64_t{0});
    if (auto name = names_.find(object); name != names_.end()) sentence += " (" + name->second + ")";
    if (held_by >= 0) {
      sentence += what == "the end of a thread" ? ": T" + std::to_string(held_by)
                                                : ", which T" + std::to_string(held_by) + " holds";
    }
    if (auto at = latest.find(thread); at != latest.end()) {
      sentence += ", at " + short_name(at->second.file) + ":" + std::to_string(at->second.line);
      if (at->second.file == learner_file_) last_learner_line_ = at->second;
    }
    timeline_.waiting.push_back(std::move(sentence));
  }
  if (Place place = place_of(event.value("first_access", none)); place.line > 0)
    first_access_ = "the other access is at " + short_name(place.file) + ":" + std::to_string(place.line);
}

// The innermost frame in the learner's file; else in the test.
Place TimelineReader::place_of(const nlohmann::json& frames) {
  if (frames.empty()) return {};
  Place in_test;
  for (const nlohmann::json& frame : frames) {
    auto pc = frame[0].get<std::uint64_t>();
    auto known = places_.find(pc);
    if (known == places_.end()) {
      Place place;
      for (const Frame& each : symbolizer_.frames_at(program_, pc)) {
        if (each.file == learner_file_ || each.file == test_file_) {
          place = {each.file, each.line};
          break;
        }
      }
      known = places_.emplace(pc, place).first;
    }
    if (known->second.file == learner_file_) return known->second;
    if (in_test.line == 0 && known->second.file == test_file_) in_test = known->second;
  }
  return in_test;
}

std::string TimelineReader::name_of_object(std::uint64_t address, const std::string& operation) {
  if (auto known = names_.find(address); known != names_.end()) return known->second;
  std::string sort = sorts_[address];
  if (sort.empty() || sort_of_object(operation).empty()) return "";
  std::string name = sort + " " + std::to_string(++counts_[sort]);
  names_[address] = name;
  return name;
}

}  // namespace interleave
