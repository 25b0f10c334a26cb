#pragma once

// For the test of 6.6: a server, and clients that need no clock.
//
// The clients come over Unix sockets, which deliver at once: what was sent is there when send(2) returns, and who waits
// for it can run. So when all threads of the server and all workers sleep at the same moment, there will be no more
// answers until somebody does something.

#include "exercise/test.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <inference_server.hpp>

/// One response, as a client has read it.
struct Reply {
  int status = 0;
  std::string head, body;  // the head with its lines' names in lower case

  std::string header(const std::string& name) const {
    auto at = head.find("\n" + name + ": ");
    if (at == std::string::npos) return "";
    at += name.size() + 3;
    return head.substr(at, head.find('\r', at) - at);
  }
};

// What the workers of the test can do, by the first word of the body. Made before the fork server, so that the workers
// have the pipes.
class Gate {
 public:
  Gate() {
    if (::pipe2(begun_.data(), O_CLOEXEC) != 0 || ::pipe2(go_.data(), O_CLOEXEC) != 0) std::abort();
  }
  ~Gate() {
    for (int end : {begun_[0], begun_[1], go_[0], go_[1]}) ::close(end);
  }

  std::string predict(const std::string& body) const {
    char byte = 0;
    if (body.starts_with("hold") && (::write(begun_[1], "b", 1) != 1 || ::read(go_[0], &byte, 1) != 1)) return "";
    if (body.starts_with("die")) ::raise(SIGKILL);
    if (body.starts_with("throw")) throw std::invalid_argument("that is no digit");
    return "\"" + body + "\"";
  }

  /// How many predictions were held so far.
  int begun() {
    char byte;
    pollfd look{begun_[0], POLLIN, 0};
    while (::poll(&look, 1, 0) == 1 && ::read(begun_[0], &byte, 1) == 1) ++begun_count_;
    return begun_count_;
  }

  /// Lets so many go, now or when they come.
  void open(int times) {
    for (int i = 0; i < times; ++i) [[maybe_unused]] auto written = ::write(go_[1], "g", 1);
  }

 private:
  std::array<int, 2> begun_{}, go_{};
  int begun_count_ = 0;
};

class Site {
 public:
  explicit Site(int workers, ServerOptions options = {}, Descriptor (*listen)() = listen_on_unix_socket)
      : fork_server_({{"predict", [this](const std::string& body) { return gate.predict(body); }}}),
        executor_(fork_server_, workers),
        sigterm_before_(std::signal(SIGTERM, SIG_IGN)),  // for one who forgets it
        listening_(listen()),                            // after the fork server, or every worker would listen too
        address_(address_of(listening_)),
        url_(address_.sun_family == AF_INET ? "http://127.0.0.1:" + std::to_string(port_of(listening_)) : ""),
        server_(executor_, std::move(listening_), std::move(options)) {}
  ~Site() { std::signal(SIGTERM, sigterm_before_); }

  /// Runs the server, `clients` in another thread, and when that has returned a SIGTERM for the server.
  void serve(const std::function<void()>& clients) {
    interleave::Onlooker onlooker([&](interleave::Onlooker& it) {
      onlooker_ = &it;
      clients();
      gate.open(100);
      ::kill(::getpid(), SIGTERM);
      settle();
      if (!it.is_over()) {
        it.fail(interleave::FailureKind::wrong_answer,
                "run() has not returned after SIGTERM, although every client has gone or had its answer");
      }
    });
    interleave::in_parent([&] { server_.run(); });
    onlooker.call_is_over();
  }

  /// Returns when server and workers have done all that they will do by themselves.
  void settle() {
    for (int busy = 0; true;) {
      auto before = switches_of_sleeping_workers();
      auto sight = onlooker_->wait_until_asleep();
      if (sight.what == interleave::Onlooker::over) return;
      busy = sight.what == interleave::Onlooker::busy ? busy + 1 : 0;
      if (busy == 10)
        onlooker_->fail(interleave::FailureKind::wrong_answer, "the server does not sleep when it has nothing to do");
      if (sight.what == interleave::Onlooker::asleep && before && switches_of_sleeping_workers() == before) return;
    }
  }
  bool run_has_returned() const { return onlooker_->is_over(); }

  const sockaddr_un& address() const { return address_; }
  const std::string& url() const { return url_; }  // when it listens on a port
  Gate gate;

 private:
  static Descriptor listen_on_unix_socket() {
    static int number = 0;
    sockaddr_un name{AF_UNIX, {}};  // a name that is no file: its first byte is 0
    std::snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "interleave-%d-%d", ::getpid(), ++number);
    Descriptor listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(listening.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0) std::abort();
    if (::listen(listening.get(), SOMAXCONN) != 0) std::abort();
    return listening;
  }

  static sockaddr_un address_of(const Descriptor& listening) {
    sockaddr_un name{};
    socklen_t size = sizeof(name);
    ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&name), &size);
    return name;
  }

  // The fork server and its workers, if all of them sleep, with how often each was given the processor. A worker that
  // has ended and is still there is about to be waited for, by a fork server that does not sleep.
  std::optional<std::map<pid_t, std::string>> switches_of_sleeping_workers() const {
    std::map<pid_t, std::string> switches;
    std::vector<pid_t> processes = {fork_server_.pid()};
    const std::string directory = "/proc/" + std::to_string(fork_server_.pid());
    std::ifstream children(directory + "/task/" + std::to_string(fork_server_.pid()) + "/children");
    for (pid_t child; children >> child;) processes.push_back(child);
    for (pid_t process : processes) {
      const std::string before = switches_if_asleep(process);
      // Only this file knows: a process that is about to sleep, and may yet find something to do, is in state S too.
      std::ifstream file("/proc/" + std::to_string(process) + "/syscall");
      std::string word;
      if (before.empty() || !(file >> word) || word == "running" || switches_if_asleep(process) != before) {
        return std::nullopt;
      }
      switches[process] = before;
    }
    return switches;
  }

  static std::string switches_if_asleep(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/status");
    std::string switches;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("State:") && line[7] != 'S') return "";
      if (line.find("ctxt_switches:") != std::string::npos) switches += line;
    }
    return switches;
  }

  ForkServer fork_server_;
  ProcessExecutor executor_;
  void (*sigterm_before_)(int);
  Descriptor listening_;
  sockaddr_un address_;
  std::string url_;
  InferenceServer server_;
  interleave::Onlooker* onlooker_ = nullptr;
};

class Client {
 public:
  explicit Client(Site& site) : site_(site), socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&site.address()), sizeof(sockaddr_un)) == 0;
  }

  bool connected() const { return connected_; }
  void vanish() { socket_.reset(); }

  /// How much of it the connection took.
  std::size_t send(std::string_view bytes) {
    std::size_t sent = 0;
    for (ssize_t now; sent < bytes.size(); sent += static_cast<std::size_t>(now)) {
      now = ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) break;
    }
    return sent;
  }
  Client& get(const std::string& path, const std::string& headers = "") {
    send("GET " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n");
    return *this;
  }
  Client& predict(const std::string& body) {
    send("POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return *this;
  }

  /// The responses that are there and were not taken before, once the server does nothing more.
  std::vector<Reply> replies() {
    site_.settle();
    receive(MSG_DONTWAIT);
    std::vector<Reply> replies;
    while (auto reply = next_reply()) replies.push_back(std::move(*reply));
    return replies;
  }
  /// The first of them; status 0 if there is none.
  Reply reply() {
    auto all = replies();
    return all.empty() ? Reply{} : all.front();
  }

  /// Whether the server has closed the connection; asked after replies().
  bool closed() const { return closed_; }
  /// Sends the same again and again, for as long as it takes until the connection takes no more for ever; the error.
  int send_until_closed(std::string_view bytes) {
    ::fcntl(socket_.get(), F_SETFL, 0);
    while (send(bytes) == bytes.size()) {
    }
    return errno;
  }
  /// Blocks until it has, and returns what came before that.
  std::vector<Reply> wait_until_closed() {
    ::fcntl(socket_.get(), F_SETFL, 0);
    receive(0);
    std::vector<Reply> replies;
    while (auto reply = next_reply()) replies.push_back(std::move(*reply));
    return replies;
  }

 private:
  void receive(int flags) {
    char buffer[4096];
    ssize_t got;
    while ((got = ::recv(socket_.get(), buffer, sizeof(buffer), flags)) > 0) {
      received_.append(buffer, static_cast<std::size_t>(got));
    }
    closed_ = closed_ || got == 0 || errno == ECONNRESET;
  }

  std::optional<Reply> next_reply() {
    auto end = received_.find("\r\n\r\n");
    if (end == std::string::npos) return std::nullopt;
    Reply reply;
    reply.head = received_.substr(0, end + 2);
    for (bool name = false; char& c : reply.head) {
      if (c == '\n') name = true;
      if (c == ':') name = false;
      if (name) c = static_cast<char>(std::tolower(c));
    }
    reply.status = std::atoi(reply.head.c_str() + reply.head.find(' '));
    auto size = static_cast<std::size_t>(std::atol(reply.header("content-length").c_str()));
    if (received_.size() < end + 4 + size) return std::nullopt;
    reply.body = received_.substr(end + 4, size);
    received_.erase(0, end + 4 + size);
    return reply;
  }

  Site& site_;
  Descriptor socket_;
  bool connected_ = false, closed_ = false;
  std::string received_;
};
