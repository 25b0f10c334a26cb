// What a server gives: requests per second, and how long a request takes, by the number of worker processes of 6.6.
//
//   cmake --build build --target 06-pipelines.server.bench && build/programs/benchmarks/06-pipelines.server.bench
//
// The server is a process of its own, with the model of this chapter; a prediction takes some 2 ms. 16 clients here
// send one drawing after the other, each on a connection that it keeps. `requests` is per second of the clock on the
// wall; `p50` and `p99` are the milliseconds that half of the requests, and all but one in a hundred, do not exceed.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <given/digits.hpp>
#include <inference_server.hpp>

namespace {

using benchmark::Counter;
using benchmark::State;
using Clock = std::chrono::steady_clock;

constexpr int copies = 100;
constexpr int clients = 16;
constexpr int requests_of_a_client = 20;

std::string predict(const std::string& body) {
  const auto shares = classify({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, copies);
  return std::to_string(std::max_element(shares.begin(), shares.end()) - shares.begin()) + "\n";
}

// The server, in a child process: a fork server must be made where there are no threads, and the clients are threads.
class ServerProcess {
 public:
  explicit ServerProcess(int workers) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ == 0) {
      ::close(ends[0]);
      serve(workers, ends[1]);
    }
    ::close(ends[1]);
    const bool serves = ::read(ends[0], &port_, sizeof(port_)) == sizeof(port_);
    ::close(ends[0]);
    if (!serves) throw std::runtime_error("the server does not start");
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }

  int port() const { return port_; }

 private:
  [[noreturn]] static void serve(int workers, int port_pipe) {
    try {
      ForkServer fork_server({{"predict", predict}});
      ProcessExecutor executor(fork_server, workers);
      Descriptor listening = listen_on(0, "127.0.0.1");
      const int port = port_of(listening);
      InferenceServer server(executor, std::move(listening), {});
      if (::write(port_pipe, &port, sizeof(port)) != sizeof(port)) ::_exit(1);
      ::close(port_pipe);
      server.run();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }

  pid_t pid_ = -1;
  int port_ = 0;
};

class Client {
 public:
  explicit Client(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::system_error(errno, std::generic_category(), "connect");
    }
  }

  // Sends a request and takes the answer. Returns whether it is 200. The answers are so short that nothing comes after
  // one that ends in a newline.
  bool ask(const std::string& request) {
    if (::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
      return false;
    }
    std::string answer;
    char some[1024];
    while (answer.find("\r\n\r\n") == std::string::npos || answer.back() != '\n' || answer.ends_with("\r\n\r\n")) {
      const ssize_t got = ::recv(socket_.get(), some, sizeof(some), 0);
      if (got <= 0) return false;
      answer.append(some, static_cast<std::size_t>(got));
    }
    return answer.starts_with("HTTP/1.1 200 ");
  }

 private:
  Descriptor socket_;
};

// A "1", and what HTTP wants to stand before it.
std::string prediction_request() {
  std::string drawing(drawing_pixels, '\0');
  for (std::size_t y = 4; y < 24; ++y) drawing[y * drawing_side + 14] = '\xff';
  return "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 784\r\n\r\n" + drawing;
}

void server(State& state) {
  const std::string request = prediction_request();
  ServerProcess process(static_cast<int>(state.range(0)));
  std::vector<Client> connections;
  for (int i = 0; i < clients; ++i) connections.emplace_back(process.port());
  for (Client& client : connections) client.ask(request);

  std::vector<std::vector<double>> milliseconds(clients);
  bool all_well = true;
  for (auto _ : state) {
    std::vector<std::jthread> threads;
    std::vector<char> well(clients, 1);
    for (std::size_t i = 0; i < clients; ++i) {
      threads.emplace_back([&, i] {
        for (int n = 0; n < requests_of_a_client; ++n) {
          const auto start = Clock::now();
          if (!connections[i].ask(request)) well[i] = 0;
          milliseconds[i].push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
        }
      });
    }
    threads.clear();
    all_well = all_well && std::count(well.begin(), well.end(), 1) == clients;
  }
  if (!all_well) return state.SkipWithError("a request was not answered 200");

  std::vector<double> all;
  for (const auto& some : milliseconds) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  state.counters["requests"] = Counter(static_cast<double>(all.size()), Counter::kIsRate);
  state.counters["p50"] = all[all.size() / 2];
  state.counters["p99"] = all[all.size() * 99 / 100];
}

BENCHMARK(server)->ArgName("workers")->Arg(1)->Arg(2)->Arg(4)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
