// What a pipeline gives: images per second from the data loader of 6.2 by the number of its workers, and how much of
// its time a GPU spends idle behind the stages of 6.3.
//
//   cmake --build build --target 06-pipelines.bench && build/programs/benchmarks/06-pipelines.bench
//
// The images are 300 JPEG files of 500x375 pixels, of each of which a part becomes 224x224 pixels. `images` is how many
// of them a second of the clock on the wall; `idle` is the share of its time for which the consumer waits.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <thread>
#include <vector>

#include <data_loader.hpp>
#include <given/photographs.hpp>
#include <stages.hpp>

namespace {

using benchmark::Counter;
using benchmark::State;

constexpr int side = 224;
constexpr int batch_size = 32;

// How long our GPU takes for a batch. It sleeps, as one that waits for a GPU does.
constexpr std::chrono::milliseconds step{40};

std::vector<std::filesystem::path> photographs() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(INTERLEAVE_PHOTOGRAPHS)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// Goes through epochs and does nothing with the batches.
void data_loader(State& state) {
  LoaderOptions options;
  options.files = photographs();
  options.load = load_photograph;
  options.sample_bytes = side * side * 3;
  options.batch_size = batch_size;
  options.workers = static_cast<int>(state.range(0));
  ForkServer server;
  DataLoader loader(server, options);
  std::uint64_t epoch = 0;
  double images = 0;
  for (auto _ : state) {
    loader.start_epoch(epoch++);
    while (auto batch = loader.next()) images += static_cast<double>(batch->indices.size());
  }
  state.counters["images"] = Counter(images, Counter::kIsRate);
}

struct Photograph {
  std::size_t index;
  Image image;
};

// Decodes in so many threads and resizes in one, for a GPU that takes its time.
void stages(State& state) {
  const auto files = photographs();
  double images = 0;
  std::chrono::duration<double> idle{0}, busy{0};
  for (auto _ : state) {
    std::size_t next = 0;
    auto source = [&]() -> std::optional<Photograph> {
      if (next == files.size()) return std::nullopt;
      return Photograph{next++, {}};
    };
    auto decode = [&](Photograph photograph) {
      JpegFile file(files[photograph.index]);
      photograph.image = file.decode({0, 0, file.width(), file.height()});
      return photograph;
    };
    auto shrink = [](Photograph photograph) {
      photograph.image = resize(photograph.image, side, side);
      return photograph;
    };
    auto train = [&](std::vector<Photograph> batch) {
      std::this_thread::sleep_for(step);
      images += static_cast<double>(batch.size());
      return true;
    };
    StagesOptions options;
    options.batch = batch_size;
    options.capacity = static_cast<std::size_t>(state.range(1));
    const StagesReport report = run_stages<Photograph>(
        source, {{decode, static_cast<std::size_t>(state.range(0))}, {shrink, 1}}, train, options);
    idle += report.idle;
    busy += report.busy;
  }
  state.counters["images"] = Counter(images, Counter::kIsRate);
  state.counters["idle"] = idle / (idle + busy);
}

BENCHMARK(data_loader)
    ->ArgName("workers")
    ->Arg(0)
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(stages)
    ->ArgNames({"decoders", "capacity"})
    ->Args({1, 2})
    ->Args({2, 2})
    ->Args({4, 2})
    ->Args({2, 32})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
