#include "grader/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <system_error>

#include "exercise/results_channel.hpp"
#include "grader/process.hpp"
#include "grader/sandbox.hpp"

namespace interleave {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int look_interval = 20;               // milliseconds between two looks at the tree
constexpr std::size_t output_kept = 32 * 1024;  // bytes of the beginning, and as many of the end

std::string sanitizer_options(const ScratchDirectory& scratch) {
  // Symbols are looked up by the grader: it needs no llvm-symbolizer, and a run that fails is not slowed down by one.
  return "log_path=" + (scratch.reports() / "report").string() +
         ":symbolize=0:stack_trace_format='    #%n (%m+%o)':allocator_may_return_null=1";
}

class Run {
 public:
  explicit Run(const RunRequest& request) : request_(request), channel_(ResultsChannel::create()) {}

  RunOutcome go() {
    Clock::time_point started = Clock::now();
    start();
    while (true) {
      wait_a_moment();
      read_output();
      read_events();
      if (asked_to_stop()) {
        program_.reset();
        end_all_descendants();
        ::_exit(128 + SIGTERM);
      }
      if (auto ending = program_->poll()) {
        outcome_.ending = *ending;
        break;
      }
      if (look_at_the_tree()) break;
    }
    finish();
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - started).count();
    return std::move(outcome_);
  }

 private:
  void start() {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw std::system_error(errno, std::generic_category(), "prctl");
    bool private_ipc = request_.confined || private_ipc_is_possible();

    sigset_t signals;
    ::sigemptyset(&signals);
    for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
    // The program has the same user as the supervisor: it may not trace it, nor write to its memory.
    if (request_.confined) ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // when the grader dies, so does this tree

    struct stat status {};
    ::fstat(output_.read_end, &status);
    output_inode_ = status.st_ino;
    ::fcntl(output_.read_end, F_SETFL, O_NONBLOCK);

    Command command;
    command.arguments = {request_.program};
    command.arguments.insert(command.arguments.end(), request_.arguments.begin(), request_.arguments.end());
    command.directory = scratch_.work().string();
    std::string options = sanitizer_options(scratch_);
    command.more_environment = {
        {"TMPDIR", scratch_.temporary().string()},
        {"INTERLEAVE_SCRATCH", scratch_.work().string()},
        {ResultsChannel::environment_variable, std::to_string(channel_.descriptor())},
        {"ASAN_OPTIONS", options + ":leak_check_at_exit=0:detect_stack_use_after_return=1"},
        {"UBSAN_OPTIONS", options + ":print_stacktrace=1"},
        {"TSAN_OPTIONS", options + ":halt_on_error=1:atexit_sleep_ms=0:second_deadlock_stack=1"},
    };
    command.more_environment.insert(request_.environment.begin(), request_.environment.end());
    if (private_ipc) command.more_environment["INTERLEAVE_PRIVATE_IPC"] = "1";
    command.output = command.error = output_.write_end;
    command.keep = {channel_.descriptor()};
    command.own_session = true;
    command.before_exec = [this] { enter_sandbox(request_); };
    program_.emplace(command);
    output_.close_write();
    last_word_ = Clock::now();
  }

  void wait_a_moment() {
    pollfd descriptors[] = {{signals_, POLLIN, 0}, {output_.read_end, POLLIN, 0}};
    // A closed pipe is ready for ever; there is nothing to wait for on it.
    ::poll(descriptors, output_is_open_ ? 2 : 1, look_interval);
  }

  bool asked_to_stop() {
    bool stop = false;
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof(info)) == sizeof(info)) stop |= info.ssi_signo != SIGCHLD;
    return stop;
  }

  void read_output() {
    char buffer[65536];
    ssize_t got;
    while (output_is_open_ && (got = ::read(output_.read_end, buffer, sizeof(buffer))) != 0) {
      if (got < 0) {
        if (errno == EINTR) continue;
        return;
      }
      outcome_.output_size += static_cast<std::size_t>(got);
      std::string_view text(buffer, static_cast<std::size_t>(got));
      if (outcome_.output.size() < output_kept) {
        std::size_t room = output_kept - outcome_.output.size();
        outcome_.output += text.substr(0, room);
        text.remove_prefix(std::min(room, text.size()));
      }
      tail_ += text;
      if (tail_.size() > 4 * output_kept) tail_.erase(0, tail_.size() - output_kept);
      if (outcome_.output_size > request_.output_limit) return;  // the next look ends the run
    }
    output_is_open_ = false;
  }

  void read_events() {
    bool genuine = channel_.read([this](std::string_view record) {
      auto event = nlohmann::json::parse(record, nullptr, false);
      if (event.is_object()) outcome_.events.push_back(std::move(event));
      last_word_ = Clock::now();
    });
    if (!genuine) outcome_.events.push_back({{"event", "forged"}});
  }

  // Returns true when the run is over because of what was seen.
  bool look_at_the_tree() {
    if (Clock::now() - last_look_at_ < std::chrono::milliseconds(look_interval)) return false;
    last_look_at_ = Clock::now();
    std::vector<ProcessInfo> processes = descendants_of(::getpid());
    std::vector<ThreadState> threads = threads_of(processes, output_inode_);
    drop_background_threads(threads);
    std::uint64_t memory = 0;
    for (const ProcessInfo& process : processes) memory += process.anonymous_memory;
    if (outcome_.output_size > request_.output_limit)
      return exceed("printed more than " + megabytes(request_.output_limit));
    if (memory > request_.memory_limit)
      return exceed("used more than " + megabytes(request_.memory_limit) + " of memory");
    struct statvfs disk {};
    if (request_.confined && ::statvfs(scratch_.work().c_str(), &disk) == 0 &&
        (disk.f_blocks - disk.f_bfree) * disk.f_frsize > request_.disk_limit)
      return exceed("wrote more than " + megabytes(request_.disk_limit) + " of files");
    if (threads.size() > static_cast<std::size_t>(request_.process_limit)) {
      return exceed("had more than " + std::to_string(request_.process_limit) +
                    " processes and threads at the same time");
    }

    // Two looks in a row at which every thread of the tree was blocked for good, with no context switch and no time on
    // a CPU between them: each thread slept from its first look to its second, so at the moment between the looks all
    // slept at once, and whatever could wake one of them would have had to be one of them. (The time is there for a
    // thread that is about to sleep, and does not: it is in state S for an instant without a switch. The looks are
    // several ticks apart, so its time has moved on.)
    bool all_blocked =
        std::all_of(threads.begin(), threads.end(), [](auto& thread) { return thread.blocked_for_good; });
    if (all_blocked && !timers_used() && threads == last_look_) {
      // What they sent before they fell asleep must have been read before this is judged.
      read_events();
      return stop(RunOutcome::End::deadlock, processes, threads);
    }
    last_look_ = all_blocked ? std::move(threads) : std::vector<ThreadState>{};

    if (Clock::now() - last_word_ > std::chrono::seconds(request_.test_time_limit)) {
      return stop(RunOutcome::End::time_limit, processes, threads_of(processes, output_inode_));
    }
    return false;
  }

  // The thread that ThreadSanitizer starts in each process, before any of the program's own: it never matters to
  // anybody, and it never stands still.
  void drop_background_threads(std::vector<ThreadState>& threads) {
    if (!request_.background_thread) return;
    std::map<pid_t, pid_t> first_thread;  // of each process, after the main one
    for (const ThreadState& thread : threads) {
      if (thread.thread == thread.process) continue;
      auto [it, is_new] = first_thread.try_emplace(thread.process, thread.thread);
      if (!is_new) it->second = std::min(it->second, thread.thread);
    }
    std::erase_if(threads, [&](const ThreadState& thread) {
      auto it = first_thread.find(thread.process);
      std::error_code error;
      return it != first_thread.end() && it->second == thread.thread && thread.sleeps &&
             std::filesystem::read_symlink("/proc/" + std::to_string(thread.process) + "/exe", error) ==
                 request_.program;
    });
  }

  // An interval timer cannot be seen in /proc, so the test support says when one was asked for.
  bool timers_used() {
    return std::any_of(outcome_.events.begin(), outcome_.events.end(),
                       [](const auto& event) { return event.value("event", "") == "timer used"; });
  }

  static std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

  bool exceed(std::string limit) {
    outcome_.end = RunOutcome::End::limit_exceeded;
    outcome_.limit = std::move(limit);
    return true;
  }

  bool stop(RunOutcome::End end, const std::vector<ProcessInfo>& processes, const std::vector<ThreadState>& threads) {
    outcome_.end = end;
    for (const ThreadState& thread : threads) {
      if (thread.state == 'Z' || thread.state == 'X') continue;
      auto process =
          std::find_if(processes.begin(), processes.end(), [&](auto& each) { return each.pid == thread.process; });
      StoppedThread stopped{thread.process,
                            thread.thread,
                            process == processes.end() ? "" : process->name,
                            thread.process == program_->pid(),
                            thread.waits_for,
                            {}};
      constexpr std::size_t stacks_wanted = 12;  // more help nobody, and each takes a few milliseconds
      // ptrace(2) waits for the thread to stop, and a thread inside vfork does not stop before its child ends.
      if (outcome_.threads.size() < stacks_wanted && thread.state != 'D')
        stopped.stack = stack_of(thread.process, thread.thread);
      outcome_.threads.push_back(std::move(stopped));
    }
    return true;
  }

  void finish() {
    pid_t test_process = program_ ? program_->pid() : -1;
    if (outcome_.end == RunOutcome::End::finished) {
      for (const ProcessInfo& process : descendants_of(::getpid())) {
        if (process.pid == test_process || process.state == 'Z') continue;
        outcome_.left_behind.push_back("process " + std::to_string(process.pid) + " ('" + process.name + "')");
      }
    } else {
      outcome_.ending = {false, SIGKILL};
    }
    program_.reset();
    end_all_descendants();
    read_output();
    // A look at a stack interrupts its thread. A futex(2) begins anew after that, and may find that the value is
    // another one by now, where only a wake-up was missing. What the program does from there on is no part of its run.
    if (outcome_.end != RunOutcome::End::deadlock) read_events();
    if (outcome_.output_size > outcome_.output.size()) {
      std::size_t end = std::min<std::size_t>(output_kept, tail_.size());
      std::uint64_t cut = outcome_.output_size - outcome_.output.size() - end;
      if (cut > 0) outcome_.output += "\n[... " + std::to_string(cut) + " bytes cut ...]\n";
      outcome_.output += tail_.substr(tail_.size() - end);
    }
    std::error_code error;
    for (std::filesystem::directory_iterator it(scratch_.reports(), error), end; !error && it != end;
         it.increment(error)) {
      std::ifstream file(it->path());
      outcome_.reports.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    ::close(signals_);
  }

  RunRequest request_;
  RunOutcome outcome_;
  ScratchDirectory scratch_;
  ResultsChannel channel_;
  Pipe output_;
  std::uint64_t output_inode_ = 0;
  bool output_is_open_ = true;
  std::string tail_;
  int signals_ = -1;
  std::optional<Process> program_;
  std::vector<ThreadState> last_look_;
  Clock::time_point last_word_, last_look_at_;
};

}  // namespace

RunOutcome supervise(const RunRequest& request) { return Run(request).go(); }

}  // namespace interleave
