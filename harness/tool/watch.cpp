// The watch: one screen, one loop. It starts `learn check --events` for each save and shows what comes out of it.

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <system_error>

#include "grader/process.hpp"
#include "grader/verdict.hpp"
#include "tool/commands.hpp"
#include "tool/texts.hpp"
#include "tool/verdict_text.hpp"

namespace interleave {

namespace {

constexpr int bar_width = 24;

class Watch {
 public:
  explicit Watch(Session& session) : session_(session), exercise_(&session.current()) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    stop_check();
    for (int descriptor : {signals_, changes_}) {
      if (descriptor >= 0) ::close(descriptor);
    }
  }

  int run() {
    keys_.emplace();
    listen();
    open_exercise(*exercise_);
    while (!done_) {
      draw();
      pollfd sources[] = {{STDIN_FILENO, POLLIN, 0},
                          {signals_, POLLIN, 0},
                          {changes_, POLLIN, 0},
                          {check_ ? results_->read_end : -1, POLLIN, 0}};
      if (::poll(sources, 4, -1) < 0 && errno != EINTR) break;
      if (sources[1].revents != 0) on_signals();
      if (sources[2].revents != 0) on_changes();
      if (sources[3].revents != 0) on_results();
      if (sources[0].revents != 0) on_key();
    }
    std::printf("\n%s\n", "Your progress is kept. Start again with ./learn");
    return 0;
  }

 private:
  void listen() {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT}) ::sigaddset(&wanted, number);
    ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
    signals_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    changes_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (signals_ < 0 || changes_ < 0) throw std::system_error(errno, std::generic_category(), "watching files");
    for (const Exercise& each : session_.workbook.exercises) {
      // The folder and not the file: an editor that saves by rename puts another file in its place.
      int folder = ::inotify_add_watch(changes_, each.folder.c_str(),
                                       IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
      if (folder >= 0) watched_[folder] = &each;
    }
  }

  void open_exercise(const Exercise& exercise) {
    exercise_ = &exercise;
    bool is_watched = std::any_of(watched_.begin(), watched_.end(), [&](auto& each) { return each.second == &exercise; });
    message_ = is_watched ? "" : exercise.folder.string() + " cannot be watched. Press r to check by hand.";
    try {
      session_.progress.set_current(exercise.slug);
    } catch (const std::runtime_error& error) {
      message_ = error.what();
    }
    start_check();
  }

  void start_check() {
    stop_check();
    lenses_.clear();
    verdict_.reset();
    unread_.clear();
    complaint_.clear();
    results_.emplace();
    Command command;
    command.arguments = {"/proc/self/exe", "check", exercise_->slug, "--events"};
    command.output = command.error = results_->write_end;
    check_.emplace(command);
    results_->close_write();
  }

  void stop_check() {
    if (!check_) return;
    // It and the build in its group end by this; the supervisors of its runs see it end and clear up their trees.
    check_->signal(SIGTERM);
    check_->wait();
    check_.reset();
    results_.reset();
  }

  void on_signals() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof(info)) == sizeof(info)) {
      switch (info.ssi_signo) {
        case SIGWINCH:
          session_.style = Style::of(STDOUT_FILENO);
          break;
        case SIGCONT:
          keys_.reset();
          keys_.emplace();
          break;
        default:
          done_ = true;
      }
    }
  }

  void on_changes() {
    alignas(inotify_event) char buffer[4096];
    const Exercise* changed = nullptr;
    for (ssize_t size; (size = ::read(changes_, buffer, sizeof(buffer))) > 0;) {
      for (char* at = buffer; at < buffer + size;) {
        auto* event = reinterpret_cast<inotify_event*>(at);
        at += sizeof(inotify_event) + event->len;
        auto it = watched_.find(event->wd);
        if (it == watched_.end() || event->len == 0) continue;
        const Exercise* exercise = it->second;
        bool saved = (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0;
        if (exercise->learner_file().filename() == event->name && (saved || exercise == exercise_)) changed = exercise;
      }
    }
    if (changed == nullptr) return;
    message_.clear();
    if (changed == exercise_) {
      start_check();
    } else {
      open_exercise(*changed);  // whoever saves another one works on that
    }
  }

  void on_results() {
    char buffer[65536];
    ssize_t size = ::read(results_->read_end, buffer, sizeof(buffer));
    if (size > 0) {
      unread_.append(buffer, static_cast<std::size_t>(size));
      for (std::size_t end; (end = unread_.find('\n')) != std::string::npos;) {
        on_record(unread_.substr(0, end));
        unread_.erase(0, end + 1);
      }
      return;
    }
    check_->wait();
    check_.reset();
    results_.reset();
    if (!verdict_) complaint_ += unread_.empty() ? "" : unread_;
  }

  void on_record(const std::string& line) {
    auto record = nlohmann::json::parse(line, nullptr, false);
    if (!record.is_object()) {
      complaint_ += line + "\n";
    } else if (record.value("event", "") == "lens") {
      lenses_.push_back(record.at("lens").get<LensVerdict>());
    } else if (record.value("event", "") == "verdict") {
      verdict_ = record.at("verdict").get<Verdict>();
      session_.progress.reload();
    }
  }

  void on_key() {
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1) {
      done_ = true;  // the terminal is gone
      return;
    }
    if (char question = std::exchange(question_, '\0'); question != '\0') {
      message_.clear();
      if (key == 'y' || key == 'Y') answer_yes(question);
      return;
    }
    message_.clear();
    switch (key) {
      case 'q':
        done_ = true;
        break;
      case 'n':
        step(1);
        break;
      case 'p':
        step(-1);
        break;
      case 'r':
        start_check();
        break;
      case 'h':
        away([&] { hint(session_, exercise_->slug); }, true);
        break;
      case 'l':
        away([&] { lesson(session_, exercise_->slug); }, true);
        break;
      case 'd':
        away(
            [&] {
              show_page(verdict_ ? raw_report(*verdict_) : complaint_.empty() ? "No verdict yet.\n" : complaint_);
            },
            true);
        break;
      case 'e':
        edit();
        break;
      case 'x':
        question_ = 'x';
        message_ = "Start again from the stub? Your text is kept beside it. y/n";
        break;
      case 's':
        if (session_.progress.of(exercise_->slug).passed) {
          answer_yes('s');
        } else {
          question_ = 's';
          message_ = "Not solved yet. Show the solution all the same? y/n";
        }
        break;
      default:
        break;
    }
  }

  void answer_yes(char question) {
    if (question == 's') return away([&] { solution(session_, exercise_->slug, true); }, true);
    try {
      std::string kept = reset_file(*exercise_);
      session_.progress.set_passed(exercise_->slug, false);
      message_ = "The stub is back. Your text is kept as " + kept;
    } catch (const std::runtime_error& error) {
      message_ = error.what();
    }
  }

  void step(int by) {
    const auto& all = session_.workbook.exercises;
    auto count = static_cast<std::ptrdiff_t>(all.size());
    auto at = ((exercise_ - all.data()) + by + count) % count;
    open_exercise(all[static_cast<std::size_t>(at)]);
  }

  // Gives the terminal to something else, as it was before; afterwards takes it again.
  template <typename Action>
  void away(Action action, bool wait_for_key) {
    keys_.reset();
    std::printf("\x1b[2J\x1b[H");
    std::fflush(stdout);
    try {
      action();
    } catch (const std::exception& error) {
      std::printf("%s\n", error.what());
    }
    keys_.emplace();
    if (wait_for_key) {
      std::printf("\n%s", session_.style.dim("Press a key to go back.").c_str());
      std::fflush(stdout);
      pollfd sources[] = {{STDIN_FILENO, POLLIN, 0}, {signals_, POLLIN, 0}};
      ::poll(sources, 2, -1);
      char key = 0;
      if (sources[0].revents != 0 && ::read(STDIN_FILENO, &key, 1) != 1) done_ = true;
      if (sources[1].revents != 0) on_signals();
    }
  }

  void edit() {
    auto variable = [](const char* name) {
      const char* value = std::getenv(name);
      return std::string(value == nullptr ? "" : value);
    };
    std::string editor = variable("VISUAL").empty() ? variable("EDITOR") : variable("VISUAL");
    bool inside_vs_code = variable("TERM_PROGRAM") == "vscode";
    if (inside_vs_code) editor = "code";
    if (editor.empty()) {
      message_ = "Set $VISUAL or $EDITOR to your editor, or open " + exercise_->learner_file().string();
      return;
    }
    Command command;
    // The variable may hold options, as in EDITOR='emacs -nw', so a shell takes it apart.
    command.arguments = {"/bin/sh", "-c", editor + " \"$1\"", "edit", exercise_->learner_file().string()};
    command.input = STDIN_FILENO;
    command.own_group = false;
    Ending ending;
    away([&] { ending = Process(command).wait(); }, false);
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof(info)) == sizeof(info)) {  // a Ctrl-C meant for the editor
    }
    if (!ending.succeeded())
      message_ =
          "'" + editor + "' did not work. Set $VISUAL to your editor, or open " + exercise_->learner_file().string();
  }

  void draw() {
    const Style& style = session_.style;
    std::string root = session_.workbook.root.string();
    std::string screen = "\x1b[2J\x1b[H";
    std::size_t passed = 0;
    for (const Exercise& each : session_.workbook.exercises) passed += session_.progress.of(each.slug).passed;
    std::size_t all = session_.workbook.exercises.size();
    std::size_t filled = all == 0 ? 0 : passed * bar_width / all;
    std::string bar;
    for (std::size_t i = 0; i < bar_width; ++i)
      bar += i < filled ? (style.unicode ? "█" : "#") : (style.unicode ? "░" : "-");
    screen += fmt::format("{}  {}  {} of {}\n\n", style.bold("Interleave"), bar, passed, all);
    screen += fmt::format("  {}{}\n  {}\n\n", style.bold(exercise_->id + " " + exercise_->slug),
                          session_.progress.of(exercise_->slug).passed ? "  " + style.pass() : "",
                          exercise_->learner_file().lexically_relative(session_.workbook.root).string());

    for (const std::string& name : exercise_->lenses) {
      auto lens = std::find_if(lenses_.begin(), lenses_.end(), [&](auto& each) { return each.lens == name; });
      if (lens != lenses_.end()) {
        screen += lens_line(*lens, style);
      } else {
        screen += fmt::format("  {:<8}{}\n", name, style.dim(waiting_text(name)));
      }
    }
    screen += "\n";
    if (verdict_ && verdict_->passed()) {
      screen += "  " + style.green("Solved.") +
                " Press s for the reference and the gallery of mistakes, n for the next exercise.\n\n";
    } else if (const LensVerdict* lens = first_failed(); lens != nullptr) {
      screen += explanation(*lens, lens->failures.front(), root, style) + "\n";
    } else if (!check_ && !complaint_.empty()) {
      screen += fold(complaint_, style.width, "  ") + "\n";
    }
    if (!message_.empty()) screen += fold(message_, style.width, "  ") + "\n";
    screen +=
        style.dim(
            style.width >= 78
                ? "  n next  p previous  l lesson  h hint  e editor  r run  d details  s solution\n  x reset  q quit"
                : "  n p l h e r d s x q") +
        " ";
    std::fputs(screen.c_str(), stdout);
    std::fflush(stdout);
  }

  std::string waiting_text(const std::string& lens) const {
    if (!check_) return "no verdict";
    bool first_time =
        !std::filesystem::exists(session_.workbook.program(*exercise_, session_.learner_solution(*exercise_), lens));
    return first_time ? "... (the first build of a lens takes a while)" : "...";
  }

  // The failure to show while the rest still runs: of the first lens in the exercise's order that has one.
  const LensVerdict* first_failed() const {
    for (const std::string& name : exercise_->lenses) {
      for (const LensVerdict& lens : lenses_) {
        if (lens.lens == name && !lens.passed && !lens.failures.empty()) return &lens;
      }
    }
    return nullptr;
  }

  Session& session_;
  const Exercise* exercise_;
  std::optional<KeyMode> keys_;
  int signals_ = -1, changes_ = -1;
  std::map<int, const Exercise*> watched_;  // by the number that inotify gave to its folder
  std::optional<Process> check_;
  std::optional<Pipe> results_;
  std::string unread_, complaint_, message_;
  std::vector<LensVerdict> lenses_;
  std::optional<Verdict> verdict_;
  char question_ = '\0';  // what the next key answers
  bool done_ = false;
};

int run_watch(void* session) { return Watch(*static_cast<Session*>(session)).run(); }

}  // namespace

int watch(Session& session) { return run_guarded(run_watch, &session); }

}  // namespace interleave
