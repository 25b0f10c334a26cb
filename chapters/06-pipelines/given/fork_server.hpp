#pragma once

// Where the worker processes of this chapter come from: a small process that was made before this one had any thread,
// and that forks on request.
//
// Python's start method "forkserver", the default on Linux since 3.14.

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// What a worker can be asked for by name: bytes to bytes.
using TaskFunction = std::function<std::string(const std::string&)>;
using Functions = std::map<std::string, TaskFunction, std::less<>>;

/// A descriptor and who closes it.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.number_, -1));
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return number_; }
  void reset(int number = -1) {
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }

 private:
  int number_ = -1;
};

/// What a worker process is given.
struct WorkerContext {
  int socket;                        // its end of the socket, which blocks
  std::span<const int> descriptors;  // copies of those that were given to spawn(), in that order
  const Functions& functions;        // those that the server was started with
};

/// What a worker process runs. When it returns, the process ends with status 0; when it throws, with status 1. Then, as
/// always here, no exit handler of the starting process runs.
using WorkerMain = void (*)(const WorkerContext&);

/// A worker, as the process that asked for it holds it. The worker is a child of the fork server, so nobody but the
/// server can wait for it; the server does, and passes the status on.
///
/// Closes its descriptors when it is destroyed, and does nothing else: a worker that reads the end of its socket then
/// should end.
class Worker {
 public:
  Worker() = default;

  pid_t pid() const { return pid_; }

  /// Our end of a Unix stream socket to the worker. It blocks, like the other end. At its end once the worker is gone.
  int socket() const { return socket_.get(); }
  /// We will not write any more, so that the worker reads the end.
  void close_socket() { socket_.reset(); }

  /// Readable from when the worker has ended and has been waited for. To be polled, not to be read.
  int end() const { return end_.get(); }
  /// Whether that is so now.
  bool has_ended() const {
    if (status_ >= 0) return true;
    pollfd look{end(), POLLIN, 0};
    while (::poll(&look, 1, 0) < 0 && errno == EINTR) {
    }
    return look.revents != 0;
  }

  /// Blocks until the worker has ended and has been waited for, and says how it ended, as waitpid(2) does. It may be
  /// asked again.
  int wait() {
    if (status_ >= 0) return status_;
    ssize_t got;
    while ((got = ::read(end(), &status_, sizeof(status_))) < 0 && errno == EINTR) {
    }
    // The server itself was killed, and that kills its workers.
    if (got != sizeof(status_)) status_ = SIGKILL;
    return status_;
  }

 private:
  friend class ForkServer;
  pid_t pid_ = -1;
  int status_ = -1;
  Descriptor socket_, end_;
};

/// The server. Everything that the process has when it makes one is there in each worker, by copy: functions, memory,
/// open descriptors. What comes later is not.
///
/// Server and workers ignore SIGINT and SIGTERM, which a terminal or a service manager sends to all processes alike:
/// they end when the process that made the server says so, or when it ends.
///
/// spawn(), kill() and count() may be called by any number of threads at the same time.
class ForkServer {
 public:
  /// `functions` are there in every worker. Throws std::logic_error if this process has more threads than one, and
  /// std::system_error if the server cannot be started.
  explicit ForkServer(Functions functions = {}) : functions_(std::move(functions)) {
    if (threads_of_this_process() > 1) {
      throw std::logic_error("ForkServer: this process has threads already, whose locks a fork would copy as they are");
    }
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
    control_.reset(ends[0]);
    Descriptor server_end(ends[1]);
    pid_ = ::fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
      control_.reset();
      Server(server_end.get(), functions_).serve();
    }
  }
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;

  /// Ends the workers that are still there (SIGKILL), and the server; returns when all of them are gone.
  ~ForkServer() {
    ::shutdown(control_.get(), SHUT_RDWR);  // and not only close: somebody may have a copy
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  pid_t pid() const { return pid_; }
  const Functions& functions() const { return functions_; }

  /// Starts a worker that runs `main`, and lends it copies of up to 16 descriptors. Throws std::system_error with the
  /// error of fork(2) if the server cannot fork, or with EPIPE if the server is gone.
  Worker spawn(WorkerMain main, std::span<const int> descriptors = {}) {
    Worker worker;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
    worker.socket_.reset(ends[0]);
    Descriptor worker_socket(ends[1]);
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
    worker.end_.reset(ends[0]);
    Descriptor status_pipe(ends[1]);

    std::vector<int> sent = {worker_socket.get(), status_pipe.get()};
    sent.insert(sent.end(), descriptors.begin(), descriptors.end());
    Answer answer = ask({Request::Kind::spawn, 0, main}, sent);
    if (answer.error != 0) throw std::system_error(answer.error, std::generic_category(), "fork");
    worker.pid_ = answer.pid;
    return worker;
  }

  /// Ends a worker (SIGKILL). Does nothing if it has ended: its process id may be somebody else's by now, and only the
  /// server, its parent, can tell.
  void kill(const Worker& worker) { ask({Request::Kind::kill, worker.pid(), nullptr}, {}); }

  struct Count {
    int started;  // since the server is there
    int ended;    // of these; they have been waited for, and Worker::wait() does not block
  };
  Count count() {
    Answer answer = ask({Request::Kind::count, 0, nullptr}, {});
    return {answer.started, answer.ended};
  }

 private:
  static constexpr std::size_t most_descriptors = 18;

  struct Request {
    enum class Kind { spawn, kill, count } kind;
    pid_t pid;
    WorkerMain main;  // server and workers are copies of this process: an address means the same there
  };
  struct Answer {
    int error;
    pid_t pid;
    int started, ended;
  };

  [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

  static std::ptrdiff_t threads_of_this_process() {
    namespace fs = std::filesystem;
    std::ptrdiff_t threads = std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator());
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    --threads;  // ThreadSanitizer's own, which it starts again after a fork
#endif
#endif
    return threads;
  }

  Answer ask(const Request& request, std::span<const int> descriptors) {
    if (descriptors.size() > most_descriptors) throw std::invalid_argument("ForkServer: too many descriptors");
    std::lock_guard lock(mutex_);
    iovec bytes{const_cast<Request*>(&request), sizeof(request)};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &bytes, message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = room.data(), message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
      std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t done;
    while ((done = ::sendmsg(control_.get(), &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
    }
    if (done < 0) fail("ForkServer: the server is gone");
    Answer answer{};
    while ((done = ::recv(control_.get(), &answer, sizeof(answer), 0)) < 0 && errno == EINTR) {
    }
    if (done != sizeof(answer))
      throw std::system_error(EPIPE, std::generic_category(), "ForkServer: the server is gone");
    return answer;
  }

  // The other side: one thread that forks, waits for what it forked, and does nothing else.
  class Server {
   public:
    Server(int control, const Functions& functions) : control_(control), functions_(functions) {}

    [[noreturn]] void serve() {
      ::prctl(PR_SET_NAME, "fork-server");
      std::signal(SIGINT, SIG_IGN);
      std::signal(SIGTERM, SIG_IGN);
      std::signal(SIGPIPE, SIG_IGN);
      sigset_t child_ended;
      ::sigemptyset(&child_ended);
      ::sigaddset(&child_ended, SIGCHLD);
      ::sigprocmask(SIG_BLOCK, &child_ended, &mask_of_the_workers_);
      std::signal(SIGCHLD, SIG_DFL);  // whatever it was: children must stay until they are waited for
      child_ended_ = ::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
      if (child_ended_ < 0) ::_exit(1);
      while (true) {
        pollfd events[] = {{control_, POLLIN, 0}, {child_ended_, POLLIN, 0}};
        if (::poll(events, 2, -1) < 0) continue;
        reap(WNOHANG);  // first: what is counted as ended has been waited for, and has been told
        if (events[0].revents != 0) answer();
      }
    }

   private:
    struct Child {
      pid_t pid;
      int status_pipe;
    };

    void reap(int flags) {
      signalfd_siginfo merged;
      while (::read(child_ended_, &merged, sizeof(merged)) > 0) {
      }
      int status = 0;
      for (pid_t pid; (pid = ::waitpid(-1, &status, flags)) > 0;) {
        std::erase_if(children_, [&](const Child& child) {
          if (child.pid != pid) return false;
          ++ended_;
          // There is always room for four bytes; whether anybody still wants them is not ours to ask.
          [[maybe_unused]] ssize_t written = ::write(child.status_pipe, &status, sizeof(status));
          ::close(child.status_pipe);
          return true;
        });
      }
    }

    void answer() {
      Request request{};
      iovec bytes{&request, sizeof(request)};
      alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> room{};
      msghdr message{};
      message.msg_iov = &bytes, message.msg_iovlen = 1;
      message.msg_control = room.data(), message.msg_controllen = room.size();
      if (::recvmsg(control_, &message, MSG_CMSG_CLOEXEC) != sizeof(request)) end();
      std::vector<int> descriptors;
      if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
        descriptors.resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        std::memcpy(descriptors.data(), CMSG_DATA(header), descriptors.size() * sizeof(int));
      }
      Answer reply{};
      if (request.kind == Request::Kind::spawn) {
        reply.pid = fork_worker(request.main, descriptors);
        if (reply.pid < 0) reply.error = errno;
        for (int descriptor : std::span(descriptors).subspan(reply.pid < 0 ? 1 : 2)) ::close(descriptor);
        ::close(descriptors[0]);
      } else if (request.kind == Request::Kind::kill) {
        for (const Child& child : children_) {
          if (child.pid == request.pid) ::kill(child.pid, SIGKILL);
        }
      }
      reply.started = started_, reply.ended = ended_;
      if (::send(control_, &reply, sizeof(reply), MSG_NOSIGNAL) < 0) end();
    }

    pid_t fork_worker(WorkerMain main, std::span<const int> descriptors) {
      const pid_t server = ::getpid();
      pid_t pid = ::fork();
      if (pid == 0) run_worker(server, main, descriptors);
      if (pid > 0) {
        ++started_;
        children_.push_back({pid, descriptors[1]});
      }
      return pid;
    }

    [[noreturn]] void run_worker(pid_t server, WorkerMain main, std::span<const int> descriptors) {
      ::prctl(PR_SET_NAME, "worker");
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != server) ::_exit(1);  // it was killed before that
      // What is the server's own, or would keep from the others that somebody is gone.
      ::close(control_);
      ::close(child_ended_);
      ::close(descriptors[1]);
      for (const Child& child : children_) ::close(child.status_pipe);
      ::sigprocmask(SIG_SETMASK, &mask_of_the_workers_, nullptr);
      std::signal(SIGPIPE, SIG_DFL);
      try {
        main({descriptors[0], descriptors.subspan(2), functions_});
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }

    [[noreturn]] void end() {
      for (const Child& child : children_) ::kill(child.pid, SIGKILL);
      reap(0);
      ::_exit(0);
    }

    int control_;
    int child_ended_ = -1;
    sigset_t mask_of_the_workers_{};
    const Functions& functions_;
    std::vector<Child> children_;
    int started_ = 0, ended_ = 0;
  };

  Functions functions_;
  pid_t pid_ = -1;
  Descriptor control_;
  std::mutex mutex_;
};
