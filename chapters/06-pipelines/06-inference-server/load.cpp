// A server under load, whose workers are killed at random: no answer is lost, and every one is right.
//
//   load SERVER [seconds] [clients]      SERVER is a program made from serve.cpp; 60 seconds, 16 clients
//
// Each client sends one drawing after the other on a connection that it keeps. Whatever happens to the workers, an
// answer of 200 must be the one for this drawing, and every other must be a 5xx; and when the server has been told to
// end, no process is left. Says how often each status came, and ends with 1 if anything was wrong.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<bool> over = false;
std::atomic<int> faults = 0;
std::mutex mutex;
std::map<int, long> statuses;

void fault(const std::string& what) {
  if (++faults <= 10) std::fprintf(stderr, "wrong: %s\n", what.c_str());
}

// A stroke somewhere: drawing number `seed`.
std::string drawing(unsigned seed) {
  std::mt19937 random(seed);
  std::string pixels(784, '\0');
  std::size_t x = 4 + random() % 20, y = 4 + random() % 4;
  for (int i = 0; i < 20; ++i) {
    for (std::size_t dx : {0, 1}) pixels[28 * (y + static_cast<std::size_t>(i)) + x + dx] = '\xff';
    if (random() % 2 == 0) x = x > 4 && random() % 2 == 0 ? x - 1 : x < 24 ? x + 1 : x;
  }
  return pixels;
}

class Connection {
 public:
  explicit Connection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET, name.sin_port = htons(port), name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0) fault("the server takes no client");
  }
  ~Connection() { ::close(socket_); }

  // The status, and the body in `body`; 0 if the connection ended.
  int predict(const std::string& pixels, std::string& body) {
    std::string request = "POST /predict HTTP/1.1\r\nHost: load\r\nContent-Length: 784\r\n\r\n" + pixels;
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) return 0;
    std::string received;
    char buffer[4096];
    while (true) {
      auto end = received.find("\r\n\r\n");
      auto at = received.find("Content-Length: ");
      if (end != std::string::npos && at != std::string::npos) {
        auto size = static_cast<std::size_t>(std::atol(received.c_str() + at + 16));
        if (received.size() > end + 4 + size) fault("more than an answer came");
        if (received.size() >= end + 4 + size) {
          body = received.substr(end + 4);
          return std::atoi(received.c_str() + received.find(' '));
        }
      }
      ssize_t got = ::recv(socket_, buffer, sizeof(buffer), 0);
      if (got <= 0) return 0;
      received.append(buffer, static_cast<std::size_t>(got));
    }
  }

 private:
  int socket_;
};

void client(std::uint16_t port, unsigned number, const std::vector<std::string>& expected) {
  Connection connection(port);
  std::map<int, long> seen;
  for (unsigned i = number; !over; ++i) {
    const unsigned which = i % static_cast<unsigned>(expected.size());
    std::string body;
    const int status = connection.predict(drawing(which), body);
    ++seen[status];
    if (status == 200 && body != expected[which]) fault("200 with the answer to another drawing: " + body);
    if (status != 200 && status / 100 != 5) fault("status " + std::to_string(status));
    if (status == 0) break;
  }
  std::lock_guard lock(mutex);
  for (auto [status, count] : seen) statuses[status] += count;
}

std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> children;
  const std::string id = std::to_string(process);
  std::ifstream file("/proc/" + id + "/task/" + id + "/children");
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "load SERVER [seconds] [clients]\n"), 2;
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 60;
  const int clients = argc > 3 ? std::atoi(argv[3]) : 16;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // what the server leaves behind comes to us

  int output[2];
  if (::pipe2(output, O_CLOEXEC) != 0) return 2;
  const pid_t server = ::fork();
  if (server == 0) {
    ::dup2(output[1], 1);
    ::execl(argv[1], argv[1], "--port", "0", nullptr);
    ::_exit(127);
  }
  ::close(output[1]);
  FILE* lines = ::fdopen(output[0], "r");
  int port = 0;
  if (std::fscanf(lines, "%*[^:]:%*[^:]:%d", &port) != 1)
    return std::fprintf(stderr, "%s does not serve\n", argv[1]), 2;

  // What is right is what it answers while nothing happens.
  std::vector<std::string> expected(50);
  {
    Connection connection(static_cast<std::uint16_t>(port));
    for (unsigned i = 0; i < expected.size(); ++i) {
      if (connection.predict(drawing(i), expected[i]) != 200) fault("no answer in a time of peace");
    }
  }

  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back(client, static_cast<std::uint16_t>(port), static_cast<unsigned>(i), std::cref(expected));
  }
  // The server has one child, the fork server; that one's are the workers.
  long killed = 0;
  std::mt19937 random(1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < end) {
    for (pid_t fork_server : children_of(server)) {
      auto workers = children_of(fork_server);
      if (!workers.empty() && ::kill(workers[random() % workers.size()], SIGKILL) == 0) ++killed;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + random() % 50));
  }
  over = true;
  for (auto& thread : threads) thread.join();

  ::kill(server, SIGTERM);
  int status = 0;
  ::waitpid(server, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fault("the server ended with " + std::to_string(status));
  if (!children_of(::getpid()).empty()) fault("the server has left processes behind");

  std::printf("%ld workers killed in %d s. Answers:", killed, seconds);
  for (auto [code, count] : statuses) std::printf("  %d: %ld", code, count);
  std::printf("\n%s\n", faults == 0 ? "Every answer was right, and nothing is left." : "Something was wrong.");
  std::fclose(lines);
  return faults == 0 ? 0 : 1;
}
