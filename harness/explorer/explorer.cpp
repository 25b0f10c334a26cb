#include "explorer/explorer.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <unordered_map>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/ends.hpp"
#include "explorer/trace/outcome.hpp"

namespace explorer {

namespace {

/// The outcome, in memory that a child process fills in.
class SharedOutcome {
 public:
  SharedOutcome() {
    void* memory =
        ::mmap(nullptr, outcome_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    outcome_ = new (memory) Outcome{};
    outcome_->first_access = -1;
  }
  SharedOutcome(const SharedOutcome&) = delete;
  SharedOutcome& operator=(const SharedOutcome&) = delete;
  ~SharedOutcome() { ::munmap(outcome_, outcome_size); }

  Outcome& operator*() { return *outcome_; }
  Outcome* operator->() { return outcome_; }

 private:
  Outcome* outcome_;
};

// What becomes of a process that ends in the middle of a schedule by means that nobody intercepts.
void explain_the_end(Outcome& outcome, int status) {
  if (outcome.failure != Failure::none || outcome.finished) return;
  outcome.failure = Failure::crash;
  if (WIFSIGNALED(status)) {
    std::snprintf(outcome.message, sizeof(outcome.message),
                  "the process was ended by signal %d (%s) in the middle of a schedule", WTERMSIG(status),
                  ::strsignal(WTERMSIG(status)));
  } else {
    outcome.failure = Failure::exit;
    std::snprintf(outcome.message, sizeof(outcome.message),
                  "the process exited with status %d in the middle of a schedule", WEXITSTATUS(status));
  }
}

void explore_in_child(const std::function<void()>& body, const Options& options, std::uint64_t trace_schedule,
                      Outcome& outcome) {
  std::fflush(nullptr);
  pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    watch_for_ends();
    engine.set_up(outcome, options.hand_over);
    engine.run(body, options, trace_schedule);
    std::fflush(nullptr);
    // Without destructors: threads are parked, and statics belong to the parent.
    ::_exit(0);
  }
  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  outcome.memory = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  explain_the_end(outcome, status);
}

Report report_of(const Outcome& outcome) {
  Report report;
  report.failure = outcome.failure;
  report.message = outcome.message;
  report.file = outcome.file;
  report.line = outcome.line;
  report.schedules = outcome.schedules;
  report.steps = outcome.steps;
  report.seconds = outcome.seconds;
  report.memory = outcome.memory;
  report.cut = outcome.cut;
  report.complete_bound = outcome.complete_bound;
  report.within_bound = outcome.within_bound;
  report.strategy = outcome.strategy;
  report.choices = outcome.choices;
  return report;
}

// Plain accesses are steps of the story only where two threads met: one wrote, and the other was there by then (what a
// thread is handed when it is created is not a meeting); and of a data race the two that made it.
std::vector<bool> steps_of_the_story(const Outcome& outcome) {
  std::vector<std::uint32_t> created(max_threads, outcome.step_count);
  std::unordered_map<std::uintptr_t, std::vector<std::uint32_t>> by_granule;
  for (std::uint32_t i = 0; i < outcome.step_count; ++i) {
    const RawStep& step = outcome.steps_traced[i];
    if (step.operation == OperationKind::create && step.value < max_threads) created[step.value] = i;
    by_granule[step.object & ~std::uintptr_t{7}].push_back(i);
  }
  created[0] = 0;
  std::vector<bool> wanted(outcome.step_count);
  for (std::uint32_t i = 0; i < outcome.step_count; ++i) wanted[i] = !outcome.steps_traced[i].quiet;
  for (const auto& [granule, steps] : by_granule) {
    bool met = false;
    for (std::size_t a = 0; a < steps.size() && !met; ++a) {
      const RawStep& earlier = outcome.steps_traced[steps[a]];
      for (std::size_t b = a + 1; b < steps.size() && !met; ++b) {
        const RawStep& later = outcome.steps_traced[steps[b]];
        bool written = earlier.operation == OperationKind::write || later.operation == OperationKind::write;
        met = earlier.thread != later.thread && created[later.thread] < steps[a] && written;
      }
    }
    for (std::uint32_t i : steps) wanted[i] = wanted[i] || met;
  }
  if (outcome.failure == Failure::data_race && outcome.first_access >= 0) {
    wanted[static_cast<std::size_t>(outcome.first_access)] = true;
    wanted.back() = true;
  }
  return wanted;
}

void add_trace(Report& report, const Outcome& outcome) {
  std::vector<bool> wanted = steps_of_the_story(outcome);
  for (std::uint32_t i = 0; i < outcome.step_count; ++i) {
    const RawStep& raw = outcome.steps_traced[i];
    if (!wanted[i]) continue;
    Step step;
    step.thread = raw.thread;
    step.operation = name_of(raw.operation);
    step.object = raw.object;
    step.size = raw.size;
    if (raw.has_before) step.before = raw.before;
    if (raw.has_value) step.value = raw.value;
    step.frames.assign(raw.frames, raw.frames + raw.frame_count);
    report.trace.push_back(std::move(step));
  }
  for (int i = 0; i < outcome.waiting_count; ++i) {
    const RawWaiting& waiting = outcome.waiting[i];
    report.waiting.push_back({waiting.thread,
                              waiting.waits_for,
                              waiting.object,
                              waiting.held_by,
                              {waiting.frames, waiting.frames + waiting.frame_count}});
  }
  if (outcome.first_access >= 0) {
    const RawStep& step = outcome.steps_traced[outcome.first_access];
    report.first_access.assign(step.frames, step.frames + step.frame_count);
  }
}

}  // namespace

std::string_view name_of(Failure failure) {
  static constexpr std::string_view names[] = {
      "none",  "assertion",    "data race", "deadlock",    "livelock",
      "crash", "memory error", "exit",      "unsupported", "not deterministic"};
  return names[static_cast<int>(failure)];
}

const char* name_of(OperationKind kind) {
  static constexpr const char* names[] = {"starts",
                                          "ends",
                                          "creates",
                                          "joins",
                                          "locks",
                                          "tries to lock",
                                          "unlocks",
                                          "waits on",
                                          "notifies one",
                                          "notifies all",
                                          "is woken at",
                                          "times out at",
                                          "wakes for no reason",
                                          "loads",
                                          "stores",
                                          "updates",
                                          "compares",
                                          "fails for no reason at",
                                          "fence",
                                          "waits on",
                                          "wakes",
                                          "acquires",
                                          "posts",
                                          "locks shared",
                                          "locks",
                                          "unlocks",
                                          "arrives",
                                          "call_once",
                                          "static local",
                                          "yields",
                                          "sleeps",
                                          "reads",
                                          "writes",
                                          "frees"};
  return names[static_cast<int>(kind)];
}

std::vector<Phase> standard_portfolio(std::uint64_t schedules) {
  // Few preemptions find most bugs (CHESS), so they come first; what is left of a search that ends early is not used.
  auto share = [&](std::uint64_t percent) { return schedules * percent / 100; };
  return {
      {StrategyKind::systematic, 0, share(10), false, false}, {StrategyKind::systematic, 1, share(20), false, false},
      {StrategyKind::surw, 0, share(10), false, false},       {StrategyKind::surw, 0, share(10), true, true},
      {StrategyKind::systematic, 2, share(20), false, false}, {StrategyKind::pos, 0, share(5), false, false},
      {StrategyKind::pos, 0, share(10), true, true},          {StrategyKind::pct, 3, share(5), false, false},
      {StrategyKind::pct, 3, share(10), true, true},
  };
}

bool exploring() { return active; }

void fail(std::string_view message, const char* file, int line) {
  if (!active) return;
  active = false;
  engine.fail(Failure::assertion, std::string(message).c_str(), file, line);
}

Report explore(const std::function<void()>& body, const Options& given) {
  Options options = given;
  if (options.portfolio.empty()) options.portfolio = standard_portfolio(4000);
  SharedOutcome first;
  explore_in_child(body, options, Engine::no_trace, *first);
  Report report = report_of(*first);
  if (report.failure == Failure::none || !options.trace) return report;

  SharedOutcome second;
  std::uint64_t failing = report.schedules > 0 ? report.schedules - 1 : 0;
  explore_in_child(body, options, failing, *second);
  if (second->failure != first->failure || second->choices != first->choices || second->schedules != first->schedules) {
    std::string what = report.message;
    report.failure = Failure::not_deterministic;
    report.message =
        "schedule " + std::to_string(failing + 1) + " failed (" + what +
        ") and then did not fail in the same way: the body must do the same each time that it is given the "
        "same order, so it may not depend on real time, random numbers, addresses, or what an earlier run of it left";
  }
  add_trace(report, *second);
  return report;
}

}  // namespace explorer
