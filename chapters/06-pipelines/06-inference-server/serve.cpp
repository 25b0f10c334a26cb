// The server to try out: your inference_server.hpp with the model of this chapter.
//
//   serve [--port 8080] [--address 127.0.0.1] [--workers 2] [--copies 8] [--most 64]
//
// Port 0 is one that is free; the first line of the output says which. `copies` is what a prediction costs (see
// digits.hpp). Ctrl-C or SIGTERM ends it.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <given/digits.hpp>
#include <inference_server.hpp>
#include <map>
#include <string>

namespace {

// What a worker answers: {"digit":7,"probabilities":[0.0001,...]}
std::string predict(const std::string& body, int copies) {
  const auto shares = classify({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, copies);
  std::string text = "{\"digit\":";
  text += std::to_string(std::max_element(shares.begin(), shares.end()) - shares.begin()) + ",\"probabilities\":[";
  for (float share : shares) {
    char number[16];
    std::snprintf(number, sizeof(number), "%.4f,", static_cast<double>(share));
    text += number;
  }
  text.back() = ']';
  return text + "}\n";
}

int run(int argc, char** argv) {
  std::map<std::string, std::string> given = {
      {"--port", "8080"}, {"--address", "127.0.0.1"}, {"--workers", "2"}, {"--copies", "8"}, {"--most", "64"}};
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc || !given.contains(argv[i])) {
      std::fprintf(stderr, "serve [--port 8080] [--address 127.0.0.1] [--workers 2] [--copies 8] [--most 64]\n");
      return 2;
    }
    given[argv[i]] = argv[i + 1];
  }
  std::signal(SIGINT, [](int) { ::kill(::getpid(), SIGTERM); });

  // First the fork server, while there is one thread and no socket: a worker has a copy of all that is here, and one
  // with a copy of the listening socket would keep the port.
  const int copies = std::stoi(given["--copies"]);
  ForkServer fork_server({{"predict", [copies](const std::string& body) { return predict(body, copies); }}});
  ProcessExecutor workers(fork_server, std::stoi(given["--workers"]));

  ServerOptions options;
  options.most_predictions = std::stoul(given["--most"]);
  options.limits = {.header_bytes = 16 << 10,
                    .body_bytes = 64 << 10,
                    .idle = std::chrono::seconds(60),
                    .request = std::chrono::seconds(10),
                    .response = std::chrono::seconds(10)};
  Descriptor listening = listen_on(static_cast<std::uint16_t>(std::stoi(given["--port"])), given["--address"].c_str());
  std::printf("Draw a digit on http://%s:%d/ (%s workers)\n", given["--address"].c_str(), port_of(listening),
              given["--workers"].c_str());
  std::fflush(stdout);
  InferenceServer(workers, std::move(listening), options).run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "serve: %s\n", error.what());
    return 1;
  }
}
