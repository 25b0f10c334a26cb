#include "grader/timeline.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>

namespace interleave {

namespace {

std::string short_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The chapter's folder, with what it gives to its exercises.
std::string chapter_of(const std::string& test_file) {
  return std::filesystem::path(test_file).parent_path().parent_path().string() + "/";
}

// What an object is called as long as nobody has given it a name.
std::string sort_of_object(const std::string& operation) {
  static const std::map<std::string, std::string> sorts = {
      {"locks", "mutex"},
      {"unlocks", "mutex"},
      {"tries to lock", "mutex"},
      {"waits on", "condition"},
      {"is woken at", "condition"},
      {"times out at", "condition"},
      {"notifies one", "condition"},
      {"notifies all", "condition"},
      {"loads", "atomic"},
      {"stores", "atomic"},
      {"updates", "atomic"},
      {"compares", "atomic"},
      {"fails for no reason at", "atomic"},
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

// Numbers as most are meant: small ones, with a sign. An address is not worth its sixteen digits.
std::string value_text(std::uint64_t value, int size) {
  switch (size) {
    case 1:
      return std::to_string(static_cast<std::uint8_t>(value));
    case 2:
      return std::to_string(static_cast<std::int16_t>(value));
    case 4:
      return std::to_string(static_cast<std::int32_t>(value));
    default:
      return value >> 40 == 0 || ~value >> 40 == 0 ? std::to_string(static_cast<std::int64_t>(value)) : "(address)";
  }
}

}  // namespace

TimelineReader::TimelineReader(const nlohmann::json& event, const std::string& learner_file,
                               const std::string& test_file)
    : program_(event.value("program", "")),
      learner_file_(learner_file),
      test_file_(test_file),
      base_(event.value("base", std::uint64_t{0})),
      variables_(program_, {learner_file, chapter_of(test_file)}) {
  timeline_.strategy = event.value("strategy", "");
  timeline_.schedule = event.value("schedules", std::uint64_t{0});
  timeline_.token = event.value("token", "");
  const nlohmann::json none = nlohmann::json::array();
  const nlohmann::json& steps = event.contains("steps") ? event["steps"] : none;
  name_the_objects(steps);
  std::map<int, Place> latest_of_learner;  // by thread
  std::size_t end = end_of_story(steps);
  for (std::size_t i = 0; i < end; ++i) {
    const nlohmann::json& step = steps[i];
    std::optional<Place> place = place_of(step.value("frames", none));
    if (!place) continue;
    TimelineRow row;
    row.place = *place;
    row.thread = step.value("thread", 0);
    row.operation = step.value("operation", "");
    timeline_.threads = std::max(timeline_.threads, row.thread + 1);
    if (step.contains("value")) row.value = value_text(step["value"].get<std::uint64_t>(), step.value("size", 8));
    if (row.operation == "creates" || row.operation == "joins") {
      row.object = "T" + row.value;
      row.value.clear();
    } else {
      row.object = names_of_steps_[i];
      if (step.contains("before"))
        row.value = value_text(step["before"].get<std::uint64_t>(), step.value("size", 8)) + " -> " + row.value;
    }
    if (row.operation.starts_with("notifies") || row.operation == "wakes")
      row.value = row.value == "0" ? "nobody waits" : row.value == "1" ? "wakes 1" : "wakes " + row.value;
    if (row.place.file == learner_file_) last_learner_line_ = latest_of_learner[row.thread] = row.place;
    timeline_.rows.push_back(std::move(row));
  }
  if (!timeline_.rows.empty()) {
    if (auto at = latest_of_learner.find(timeline_.rows.back().thread); at != latest_of_learner.end())
      last_learner_line_ = at->second;
  }
  // Of a failure that waiting has no part in, who happened to wait is no news.
  bool stuck = event.value("kind", "") == "deadlock" || event.value("kind", "") == "livelock";
  for (const nlohmann::json& each : stuck&& event.contains("waiting") ? event["waiting"] : none) {
    int thread = each.value("thread", 0), held_by = each.value("held_by", -1);
    std::string what = each.value("waits_for", "");
    std::string sentence = "T" + std::to_string(thread) + " waits for " + what;
    std::uint64_t object = each.value("object", std::uint64_t{0});
    if (auto name = names_.find(object); name != names_.end()) sentence += " (" + name->second + ")";
    if (held_by >= 0) {
      sentence += what == "the end of a thread" ? ": T" + std::to_string(held_by)
                                                : ", which T" + std::to_string(held_by) + " holds";
    }
    if (std::optional<Place> at = place_of(each.value("frames", none)); at && at->line > 0) {
      sentence += ", at " + short_name(at->file) + ":" + std::to_string(at->line);
      if (at->file == learner_file_) last_learner_line_ = *at;
    }
    timeline_.waiting.push_back(std::move(sentence));
  }
  if (std::optional<Place> place = place_of(event.value("first_access", none)); place && place->line > 0) {
    std::string memory = timeline_.rows.empty() ? "" : timeline_.rows.back().object;
    first_access_ = (memory.empty() ? "" : "the memory is " + memory + "; ") + "the other access is at " +
                    short_name(place->file) + ":" + std::to_string(place->line);
  }
}

// Where a step was made: the innermost frame in the learner's file, else in the test. Nothing if it is the test
// framework's: an assertion that fails takes locks of its own.
std::optional<Place> TimelineReader::place_of(const nlohmann::json& frames) {
  Place in_test;
  for (const nlohmann::json& frame : frames) {
    const Origin& origin = origin_of(frame[0].get<std::uint64_t>());
    if (origin.framework && in_test.line == 0) return std::nullopt;
    if (origin.place.file == learner_file_) return origin.place;
    if (in_test.line == 0 && origin.place.file == test_file_) in_test = origin.place;
  }
  return in_test;
}

// An assertion that fails takes its time to say so; what the others do meanwhile has nothing to do with it.
std::size_t TimelineReader::end_of_story(const nlohmann::json& steps) {
  std::size_t end = steps.size();
  if (end == 0) return end;
  int who_fails = steps[end - 1].value("thread", 0);
  for (std::size_t i = end; i-- > 0;) {
    if (steps[i].value("thread", 0) != who_fails) continue;
    if (place_of(steps[i].value("frames", nlohmann::json::array()))) break;
    end = i;
  }
  return end;
}

const TimelineReader::Origin& TimelineReader::origin_of(std::uint64_t pc) {
  auto [known, is_new] = origins_.try_emplace(pc);
  Origin& origin = known->second;
  if (!is_new) return origin;
  for (const Frame& frame : symbolizer_.frames_at(program_, pc)) {
    if (frame.file == learner_file_ || frame.file == test_file_) {
      origin.place = {frame.file, frame.line};
      break;
    }
    if (frame.function.starts_with("testing::")) {
      origin.framework = true;
      break;
    }
  }
  return origin;
}

// What a person called the object: a variable of the thread that takes the step or of one that stands still, in a
// function that has not returned; or one of the program's own.
std::string TimelineReader::given_name(std::uint64_t address, const std::map<int, const nlohmann::json*>& stacks,
                                       int thread) {
  auto on_stack_of = [&](int owner) -> std::string {
    auto stack = stacks.find(owner);
    if (stack == stacks.end()) return "";
    for (const nlohmann::json& frame : *stack->second) {
      std::string name = variables_.local_at(frame[0].get<std::uint64_t>(), frame[1].get<std::uint64_t>(), address);
      if (!name.empty()) return name;
    }
    return "";
  };
  std::string name = on_stack_of(thread);
  for (auto it = stacks.begin(); name.empty() && it != stacks.end(); ++it) {
    if (it->first != thread) name = on_stack_of(it->first);
  }
  return name.empty() && address >= base_ ? variables_.static_at(address - base_) : name;
}

// Names as short as they can be and still tell one object from another: "queue.mutex_" is mutex_, if nothing else is.
void TimelineReader::name_the_objects(const nlohmann::json& steps) {
  std::map<std::uint64_t, std::string> sorts;
  std::vector<std::string> full(steps.size());
  std::map<std::string, std::set<std::string>> meanings;  // of the end of a name
  std::map<std::string, std::set<std::uint64_t>> addresses;
  std::map<int, const nlohmann::json*> stacks;
  auto ends_of = [](const std::string& name) {
    std::vector<std::string> ends;
    for (auto dot = name.rfind('.'); dot != std::string::npos; dot = dot == 0 ? dot : name.rfind('.', dot - 1))
      ends.push_back(name.substr(dot + 1));
    ends.push_back(name);
    return ends;
  };
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const nlohmann::json& step = steps[i];
    std::string operation = step.value("operation", "");
    auto object = step.value("object", std::uint64_t{0});
    int thread = step.value("thread", 0);
    if (step.contains("frames")) stacks[thread] = &step["frames"];
    if (object == 0 || sort_of_object(operation).empty()) continue;
    // An object is written as plain memory when it is made; what it is shows later.
    std::string& sort = sorts[object];
    if (sort.empty() || sort == "variable") sort = sort_of_object(operation);
    full[i] = given_name(object, stacks, thread);
    if (full[i].empty()) continue;
    addresses[full[i]].insert(object);
    for (const std::string& end : ends_of(full[i])) meanings[end].insert(full[i]);
  }
  std::map<std::string, int> counts;
  std::map<std::uint64_t, std::string> numbered;
  names_of_steps_.resize(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    auto object = steps[i].value("object", std::uint64_t{0});
    auto sort = sorts.find(object);
    if (object == 0 || sort == sorts.end() || sort_of_object(steps[i].value("operation", "")).empty()) continue;
    std::string& name = names_of_steps_[i];
    for (const std::string& end : ends_of(full[i])) {
      name = end;
      if (meanings[end].size() == 1) break;
    }
    if (name.empty()) {
      std::string& number = numbered[object];
      if (number.empty()) number = sort->second + " " + std::to_string(++counts[sort->second]);
      name = number;
    } else if (addresses[full[i]].size() > 1) {
      // Parts of something from elsewhere, as the two counters in a std::barrier.
      auto& parts = addresses[full[i]];
      name += "'" + std::to_string(1 + std::distance(parts.begin(), parts.find(object)));
    }
    names_[object] = name;
  }
}

}  // namespace interleave
