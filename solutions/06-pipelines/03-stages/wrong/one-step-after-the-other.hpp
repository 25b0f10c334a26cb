// Runs a step for all items, then the next step for all items: simple, in order, every answer right, and at each time
// all steps but one are idle, with all items in memory.
// caught: plain, RunStages.HasAllStepsAtWorkAtTheSameTime, over-synchronised

#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

template <typename Item>
struct Stage {
  std::function<Item(Item)> work;
  std::size_t workers = 1;
};

struct StagesOptions {
  std::size_t batch = 1;
  std::size_t capacity = 2;
  std::function<std::chrono::nanoseconds()> clock = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
};

struct StagesReport {
  std::size_t batches = 0;
  std::chrono::nanoseconds busy{0};
  std::chrono::nanoseconds idle{0};
};

template <typename Item>
StagesReport run_stages(std::function<std::optional<Item>()> source, std::vector<Stage<Item>> stages,
                        std::function<bool(std::vector<Item>)> consume, StagesOptions options = {}) {
  if (options.batch == 0 || options.capacity == 0) throw std::invalid_argument("run_stages: a size of 0");
  for (const Stage<Item>& stage : stages) {
    if (stage.workers == 0) throw std::invalid_argument("run_stages: a stage without workers");
  }
  StagesReport report;
  std::chrono::nanoseconds since = options.clock();
  std::vector<Item> items;
  std::async(std::launch::async, [&] {
    while (std::optional<Item> item = source()) items.push_back(std::move(*item));
  }).get();
  for (const Stage<Item>& stage : stages) {
    std::vector<std::future<void>> workers;
    for (std::size_t worker = 0; worker < stage.workers; ++worker) {
      workers.push_back(std::async(std::launch::async, [&, worker] {
        for (std::size_t i = worker; i < items.size(); i += stage.workers) items[i] = stage.work(std::move(items[i]));
      }));
    }
    for (std::future<void>& worker : workers) worker.get();
  }
  for (std::size_t begin = 0; begin < items.size(); begin += options.batch) {
    std::vector<Item> batch;
    for (std::size_t i = begin; i < std::min(items.size(), begin + options.batch); ++i) {
      batch.push_back(std::move(items[i]));
    }
    const std::chrono::nanoseconds ready = options.clock();
    report.idle += ready - since;
    const bool more = consume(std::move(batch));
    since = options.clock();
    report.busy += since - ready;
    ++report.batches;
    if (!more) break;
  }
  return report;
}
