// 6.6's reference with a function that takes a fixed time of CPU, for compare.py.
//
//   compare_server WORKERS MICROSECONDS      serves at a free port of 127.0.0.1 and prints it; SIGTERM ends it

#include <time.h>

#include <cstdio>
#include <exception>
#include <inference_server.hpp>
#include <string>
#include <utility>

namespace {

long microseconds_of_this_thread() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

std::string compute(long microseconds) {
  const long end = microseconds_of_this_thread() + microseconds;
  while (microseconds_of_this_thread() < end) {
  }
  return "{\"digit\":7}\n";
}

int run(char** argv) {
  const long microseconds = std::stol(argv[2]);
  ForkServer fork_server({{"predict", [=](const std::string&) { return compute(microseconds); }}});
  ProcessExecutor workers(fork_server, std::stoi(argv[1]));
  Descriptor listening = listen_on(0, "127.0.0.1");
  std::printf("%d\n", port_of(listening));
  std::fflush(stdout);
  InferenceServer(workers, std::move(listening), {}).run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3) return run(argv);
    std::fprintf(stderr, "compare_server WORKERS MICROSECONDS\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compare_server: %s\n", error.what());
  }
  return 1;
}
