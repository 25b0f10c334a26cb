// The interleaving test under the lens `explore`.

#include <gtest/gtest-spi.h>
#include <link.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "exercise/failure_kind.hpp"
#include "exercise/interleaving_test.hpp"
#include "exercise/reporter.hpp"
#include "exercise/session.hpp"
#include "explorer/explorer.hpp"

namespace interleave {

namespace {

// The schedules that one test gets: at some 50,000 a second and core, a fraction of what compiling it took.
constexpr std::uint64_t budget = 4000;
constexpr std::size_t most_steps_shown = 1500;

// An assertion that fails inside a schedule ends it there.
class EndsTheSchedule : public ::testing::ScopedFakeTestPartResultReporter {
 public:
  EndsTheSchedule() : ScopedFakeTestPartResultReporter(INTERCEPT_ALL_THREADS, &unused_) {}
  void ReportTestPartResult(const ::testing::TestPartResult& result) override {
    if (result.failed()) explorer::fail(result.message(), result.file_name(), result.line_number());
  }

 private:
  ::testing::TestPartResultArray unused_;
};

// What `learn verify` asks for on top: other seeds, other budgets.
std::uint64_t asked_for(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

explorer::Report explore(const std::function<void()>& body, std::uint64_t seed, bool trace) {
  EndsTheSchedule reporter;
  session::end_schedule = [](const std::string& message, const char* file, int line) {
    explorer::fail(message, file, line);
  };
  explorer::Options options;
  options.seed = seed;
  options.trace = trace;
  options.portfolio = explorer::standard_portfolio(asked_for("INTERLEAVE_SCHEDULES", budget));
  explorer::Report report = explorer::explore(body, options);
  session::end_schedule = nullptr;
  return report;
}

// What of an address is the same in each run of the program: its place in the executable.
struct Executable {
  std::uintptr_t base = 0, size = 0;
};

Executable find_executable() {
  Executable executable;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& found = *static_cast<Executable*>(data);
        found.base = info->dlpi_addr;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          if (header.p_type == PT_LOAD && header.p_vaddr + header.p_memsz > found.size)
            found.size = header.p_vaddr + header.p_memsz;
        }
        return 1;
      },
      &executable);
  return executable;
}

nlohmann::json frames_as_json(const std::vector<explorer::Frame>& frames, const Executable& executable) {
  nlohmann::json json = nlohmann::json::array();
  for (const explorer::Frame& frame : frames) {
    if (frame.pc - executable.base >= executable.size) continue;  // a library's
    json.push_back({frame.pc - executable.base, frame.cfa});
  }
  return json;
}

FailureKind kind_of(explorer::Failure failure, std::string& message) {
  switch (failure) {
    case explorer::Failure::data_race:
      return FailureKind::data_race;
    case explorer::Failure::deadlock:
      return FailureKind::deadlock;
    case explorer::Failure::livelock:
      return FailureKind::livelock;
    case explorer::Failure::crash:
    case explorer::Failure::exit:
      return FailureKind::crash;
    case explorer::Failure::memory_error:
      return FailureKind::memory_error;
    case explorer::Failure::unsupported:
    case explorer::Failure::not_deterministic:
      return FailureKind::unsupported;
    default:
      return take_kind(message);
  }
}

// A short name of the schedule: run the same program again, and it fails at the same place.
std::string token_of(const explorer::Report& report) {
  constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's base 32
  std::string text = std::to_string(report.schedules) + "-";
  for (int i = 0; i < 4; ++i) text += digits[report.choices >> (5 * i) & 31];
  return text;
}

std::string told_in_words(const explorer::Report& report) {
  std::string text = report.message;
  text += "\n(schedule " + std::to_string(report.schedules) + ", found by the strategy: " + report.strategy + ")\n";
  for (const explorer::Step& step : report.trace) {
    text += "  T" + std::to_string(step.thread) + " " + step.operation;
    if (step.value) text += " " + std::to_string(*step.value);
    text += "\n";
  }
  return text;
}

}  // namespace

bool time_is_virtual() { return explorer::exploring(); }

void run_interleavings(const std::function<void()>& body) {
  explorer::Report report = explore(body, 1, true);
  // The schedule that failed first, for each seed; 0 where none did.
  nlohmann::json failed = nlohmann::json::array();
  auto note_failed = [&](const explorer::Report& each) {
    failed.push_back(each.failure == explorer::Failure::none ? 0 : each.schedules);
  };
  note_failed(report);
  for (std::uint64_t seed = 2; seed <= asked_for("INTERLEAVE_SEEDS", 1); ++seed) {
    bool first = report.failure == explorer::Failure::none;
    explorer::Report other = explore(body, seed, first);
    note_failed(other);
    if (first && other.failure != explorer::Failure::none) report = std::move(other);
  }
  nlohmann::json event = {{"event", "explored"},
                          {"test", session::current_test()},
                          {"schedules", report.schedules},
                          {"complete_bound", report.complete_bound},
                          {"within_bound", report.within_bound},
                          {"strategy", report.strategy},
                          {"failed", failed}};
  if (report.failure == explorer::Failure::none) {
    session::send_raw(event.dump());
    return;
  }
  FailureKind kind = kind_of(report.failure, report.message);
  Executable executable = find_executable();
  event["kind"] = name_of(kind);
  event["message"] = report.message;
  event["file"] = report.file;
  event["line"] = report.line;
  event["token"] = token_of(report);
  nlohmann::json steps = nlohmann::json::array();
  std::size_t from = report.trace.size() > most_steps_shown ? report.trace.size() - most_steps_shown : 0;
  for (std::size_t i = from; i < report.trace.size(); ++i) {
    const explorer::Step& step = report.trace[i];
    nlohmann::json row = {{"thread", step.thread},
                          {"operation", step.operation},
                          {"object", step.object},
                          {"frames", frames_as_json(step.frames, executable)}};
    if (step.value) row["value"] = *step.value;
    if (step.before) row["before"] = *step.before;
    row["size"] = step.size;
    steps.push_back(std::move(row));
  }
  event["steps"] = std::move(steps);
  nlohmann::json waiting = nlohmann::json::array();
  for (const explorer::Waiting& each : report.waiting) {
    waiting.push_back({{"thread", each.thread},
                       {"waits_for", each.waits_for},
                       {"object", each.object},
                       {"held_by", each.held_by},
                       {"frames", frames_as_json(each.frames, executable)}});
  }
  event["waiting"] = std::move(waiting);
  event["first_access"] = frames_as_json(report.first_access, executable);
  event["base"] = executable.base;
  event["program"] = "/proc/self/exe";
  char path[4096];
  if (ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path)); size > 0)
    event["program"] = std::string(path, static_cast<std::size_t>(size));
  session::send_raw(event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  // For GoogleTest, whose test has failed, and for who runs the program by hand; the supervisor knows it already.
  session::silent = true;
  ADD_FAILURE_AT(report.file.empty() ? "explorer" : report.file.c_str(), report.line)
      << name_of(kind) << ": " << told_in_words(report);
  session::silent = false;
}

}  // namespace interleave
