// The program `supervise`: reads a RunRequest as JSON from its one argument, runs it, and prints the RunOutcome as
// JSON. A process of its own, so that it can be the sub-reaper of one run alone.

#include <cstdio>
#include <exception>
#include <string>

#include "grader/supervisor.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("supervise: started by the grader with one argument, a run request as JSON\n", stderr);
    return 2;
  }
  try {
    auto request = nlohmann::json::parse(argv[1]).get<interleave::RunRequest>();
    nlohmann::json outcome = interleave::supervise(request);
    std::string text = outcome.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "supervise: %s\n", error.what());
    return 1;
  }
}
