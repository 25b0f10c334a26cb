#pragma once

// The pool of worker processes of 6.1, for those who have a loop of their own and can neither block on a future nor ask
// it again and again: each call comes with a function that is told the outcome.

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <given/fork_server.hpp>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

/// The function threw. what() is the what() of its exception, or "unknown exception" if that is not a std::exception.
struct TaskError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The worker ended before the call was done.
struct BrokenWorker : std::runtime_error {
  explicit BrokenWorker(int status_of_worker)
      : std::runtime_error("the worker ended in the middle of the task"), status(status_of_worker) {}
  int status;  // how the worker's process ended, as waitpid(2) says it
};

/// What came of a call. Plain data, to be copied, moved and handed to another thread; the exception is made in the
/// thread that asks for it.
class Outcome {
 public:
  static Outcome returned(std::string bytes) { return {Kind::returned, std::move(bytes), 0}; }
  static Outcome threw(std::string what) { return {Kind::threw, std::move(what), 0}; }
  static Outcome broken(int status) { return {Kind::broken, {}, status}; }
  static Outcome no_worker(int error) { return {Kind::no_worker, {}, error}; }

  bool has_value() const { return kind_ == Kind::returned; }

  /// What the function returned. Otherwise throws: TaskError if the function threw, BrokenWorker if its worker ended,
  /// std::system_error with the error of fork(2) if there is no worker left and none can be started.
  std::string get() && {
    if (kind_ == Kind::threw) throw TaskError(bytes_);
    if (kind_ == Kind::broken) throw BrokenWorker(number_);
    if (kind_ == Kind::no_worker) throw std::system_error(number_, std::generic_category(), "fork");
    return std::move(bytes_);
  }

  /// What get() throws; null if there is a value.
  std::exception_ptr error() const {
    if (has_value()) return nullptr;
    try {
      Outcome(*this).get();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

 private:
  enum class Kind { returned, threw, broken, no_worker };
  Outcome(Kind kind, std::string bytes, int number) : kind_(kind), bytes_(std::move(bytes)), number_(number) {}

  Kind kind_;
  std::string bytes_;
  int number_;
};

/// A fixed number of worker processes, and one thread that speaks with all of them.
///
/// A worker runs one call at a time; what comes while all are busy waits, first come, first served. A worker that ends
/// is replaced before the next call, and breaks the one that it was in, which is not run again. submit() and waiting()
/// may be called from any thread.
class ProcessExecutor {
 public:
  using Done = std::function<void(Outcome)>;

  /// The server outlives the executor. Less than one worker throws std::invalid_argument. If a worker cannot be
  /// started, throws the std::system_error of ForkServer::spawn().
  ProcessExecutor(ForkServer& server, int workers) : server_(server), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (workers < 1) throw std::invalid_argument("ProcessExecutor: less than one worker");
    if (wake_.get() < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    seats_.resize(static_cast<std::size_t>(workers));
    try {
      for (Seat& seat : seats_) seat.worker = server_.spawn(serve), seat.taken = true;
      thread_ = std::thread([this] { run(); });
    } catch (...) {
      dismiss_workers();
      throw;
    }
  }
  ProcessExecutor(const ProcessExecutor&) = delete;
  ProcessExecutor& operator=(const ProcessExecutor&) = delete;

  /// Returns when every call is over, every `done` has returned, and every worker has ended. Not from a `done`.
  ~ProcessExecutor() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake();
    thread_.join();
    dismiss_workers();
  }

  /// Has a worker call server.functions().at(function)(argument), once; then calls done(outcome), once, in the
  /// executor's own thread. `done` must not throw, and should be short: all calls wait for it. It may call submit().
  ///
  /// Throws std::invalid_argument if the server has no such function.
  void submit(std::string_view function, std::string argument, Done done) {
    if (!server_.functions().contains(function)) {
      throw std::invalid_argument("ProcessExecutor: no function " + std::string(function));
    }
    {
      std::lock_guard lock(mutex_);
      queue_.push_back({std::string(function), std::move(argument), std::move(done)});
    }
    wake();
  }

  /// How many calls no worker has begun.
  std::size_t waiting() const {
    std::lock_guard lock(mutex_);
    return queue_.size();
  }

 private:
  struct Call {
    std::string function, argument;
    Done done;
  };
  // Before each message: of a call, the sizes of the function's name and of the argument; of an answer, whether the
  // function threw and the size of what follows. Both sides are one program, so this is as they have it in memory.
  using Head = std::array<std::uint64_t, 2>;

  // A place for a worker, and what passes between it and us: we never wait for one of them, so half of a message may
  // have gone out or come in.
  struct Seat {
    Worker worker;
    bool taken = false;
    std::optional<Call> call;
    std::string out, in;
    std::size_t sent = 0;
  };

  // ---- in a worker process ----

  static void serve(const WorkerContext& context) {
    Head head;
    while (receive(context.socket, head.data(), sizeof(head))) {
      std::string function(head[0], '\0'), result(head[1], '\0');
      if (!receive(context.socket, function.data(), function.size())) return;
      if (!receive(context.socket, result.data(), result.size())) return;
      head[0] = 0;
      try {
        result = context.functions.find(function)->second(result);
      } catch (const std::exception& exception) {
        head[0] = 1, result = exception.what();
      } catch (...) {
        head[0] = 1, result = "unknown exception";
      }
      head[1] = result.size();
      if (!send(context.socket, head.data(), sizeof(head)) || !send(context.socket, result.data(), result.size())) {
        return;
      }
    }
  }

  static bool receive(int socket, void* bytes, std::size_t size) {
    return size == 0 || ::recv(socket, bytes, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }

  static bool send(int socket, const void* bytes, std::size_t size) {
    for (auto* from = static_cast<const char*>(bytes); size > 0;) {
      const ssize_t sent = ::send(socket, from, size, MSG_NOSIGNAL);
      if (sent < 0) return false;
      from += sent, size -= static_cast<std::size_t>(sent);
    }
    return true;
  }

  // ---- in the executor's thread ----

  void run() {
    std::vector<pollfd> events;
    while (hand_out()) {
      // A worker without a call is polled too: all there can be to read is that it has ended.
      events.assign({{wake_.get(), POLLIN, 0}});
      for (const Seat& seat : seats_) {
        const bool sending = seat.sent < seat.out.size();
        events.push_back({seat.taken ? seat.worker.socket() : -1, short(sending ? POLLIN | POLLOUT : POLLIN), 0});
      }
      if (::poll(events.data(), events.size(), -1) < 0) continue;
      std::uint64_t times;
      [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &times, sizeof(times));
      for (std::size_t i = 0; i < seats_.size(); ++i) {
        if (events[i + 1].revents != 0) go_on(seats_[i]);
      }
    }
  }

  // Gives what waits to those who are free. False if nothing is left to be done, for ever.
  bool hand_out() {
    while (Seat* free = free_seat()) {
      std::unique_lock lock(mutex_);
      if (queue_.empty()) return !closing_ || anybody_busy();
      free->call = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      const Head head = {free->call->function.size(), free->call->argument.size()};
      free->out.assign(reinterpret_cast<const char*>(head.data()), sizeof(head));
      free->out.append(free->call->function).append(free->call->argument);
      free->sent = 0;
    }
    if (anybody_busy()) return true;
    std::unique_lock lock(mutex_);
    std::deque<Call> calls = std::move(queue_);
    queue_.clear();
    const bool again = !closing_ || !calls.empty();
    lock.unlock();
    for (Call& call : calls) call.done(Outcome::no_worker(error_of_spawn_));
    return again;
  }

  // One whose worker lives and has no call; with a new worker, if need be. Null if there is none to be had now.
  Seat* free_seat() {
    for (Seat& seat : seats_) {
      if (seat.call) continue;
      if (seat.taken && !seat.worker.has_ended()) return &seat;
      seat.taken = false;
      try {
        seat.worker = server_.spawn(serve);
        seat.in.clear(), seat.out.clear(), seat.sent = 0;
        seat.taken = true;
        return &seat;
      } catch (const std::system_error& error) {
        error_of_spawn_ = error.code().value();
      }
    }
    return nullptr;
  }

  bool anybody_busy() const {
    return std::any_of(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.call.has_value(); });
  }

  // Sends and receives as much as goes without waiting.
  void go_on(Seat& seat) {
    const int socket = seat.worker.socket();
    ssize_t done = 0;
    if (seat.sent < seat.out.size()) {
      done = ::send(socket, seat.out.data() + seat.sent, seat.out.size() - seat.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (done > 0) seat.sent += static_cast<std::size_t>(done);
    }
    std::array<char, std::size_t{1} << 16> buffer;
    done = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (done > 0) {
      seat.in.append(buffer.data(), static_cast<std::size_t>(done));
      take_answer(seat);
    } else if (done == 0 || (errno != EAGAIN && errno != EINTR)) {
      // The worker has ended, with a call or without one.
      const int status = seat.worker.wait();
      seat.taken = false;
      if (seat.call) finish(seat, Outcome::broken(status));
    }
  }

  void take_answer(Seat& seat) {
    Head head;
    if (seat.in.size() < sizeof(head)) return;
    std::memcpy(head.data(), seat.in.data(), sizeof(head));
    if (seat.in.size() < sizeof(head) + head[1]) return;
    std::string bytes = seat.in.substr(sizeof(head));
    seat.in.clear();
    finish(seat, head[0] == 0 ? Outcome::returned(std::move(bytes)) : Outcome::threw(std::move(bytes)));
  }

  static void finish(Seat& seat, Outcome outcome) {
    Call call = std::move(*seat.call);
    seat.call.reset();
    call.done(std::move(outcome));
  }

  void wake() const {
    const std::uint64_t once = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &once, sizeof(once));
  }

  void dismiss_workers() {
    for (Seat& seat : seats_) seat.worker.close_socket();
    for (Seat& seat : seats_) {
      if (seat.taken) seat.worker.wait();
    }
  }

  ForkServer& server_;
  Descriptor wake_;
  mutable std::mutex mutex_;
  std::deque<Call> queue_;
  bool closing_ = false;
  // The thread's own while it runs.
  std::vector<Seat> seats_;
  int error_of_spawn_ = 0;
  std::thread thread_;
};
