#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>

/// What a server counts, in the format that Prometheus reads. For one thread.
class ServerMetrics {
 public:
  /// A response is about to be sent.
  void count_response(int status) { ++responses_[status]; }

  /// A worker has answered; `time` from the request to here.
  void observe_prediction(std::chrono::duration<double> time) {
    for (std::size_t i = 0; i < bounds.size(); ++i) below_[i] += time.count() <= bounds[i];
    ++predictions_;
    seconds_ += time.count();
  }

  /// What GET /metrics answers. `in_progress`: predictions that have been admitted and are not over. `waiting`: those
  /// of them that no worker has begun.
  std::string text(std::size_t in_progress, std::size_t waiting) const {
    std::ostringstream out;
    out << "# TYPE inference_responses_total counter\n";
    for (auto [status, count] : responses_) {
      out << "inference_responses_total{status=\"" << status << "\"} " << count << "\n";
    }
    out << "# TYPE inference_in_progress gauge\ninference_in_progress " << in_progress << "\n"
        << "# TYPE inference_waiting gauge\ninference_waiting " << waiting << "\n"
        << "# TYPE inference_seconds histogram\n";
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      out << "inference_seconds_bucket{le=\"" << bounds[i] << "\"} " << below_[i] << "\n";
    }
    out << "inference_seconds_bucket{le=\"+Inf\"} " << predictions_ << "\n"
        << "inference_seconds_sum " << seconds_ << "\ninference_seconds_count " << predictions_ << "\n";
    return out.str();
  }

 private:
  static constexpr std::array<double, 9> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5};
  std::map<int, std::uint64_t> responses_;
  std::array<std::uint64_t, bounds.size()> below_{};
  std::uint64_t predictions_ = 0;
  double seconds_ = 0;
};
