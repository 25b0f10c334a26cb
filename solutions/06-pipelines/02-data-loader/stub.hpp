#pragma once

// 6.2 data-loader: read a data set in batches, in worker processes that work ahead, and give the batches out in order.
//
// PyTorch's `DataLoader(dataset, batch_size, shuffle=True, num_workers=, prefetch_factor=)`.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <given/fork_server.hpp>  // ForkServer, Worker, WorkerContext
#include <given/random.hpp>       // Random, epoch_order()
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "exercise/not_done.hpp"

/// Makes one sample: reads a file and writes all of `sample`. It is a plain function, so its address means the same in
/// each worker of the fork server. load_photograph() in <given/photographs.hpp> is one.
using LoadSample = void (*)(const std::filesystem::path& file, Random& random, std::span<std::uint8_t> sample);

struct LoaderOptions {
  std::vector<std::filesystem::path> files;  // the data set: the sample of index i is made of files[i]
  LoadSample load = nullptr;
  std::size_t sample_bytes = 0;
  int batch_size = 1;
  int workers = 0;
  int prefetch_factor = 2;  // batches that are under way or ready, for each worker
  std::uint64_t seed = 0;
};

/// What next() gives. The samples lie in memory of the loader, one after the other, and stay there until the loader is
/// called again or destroyed.
struct Batch {
  std::vector<std::size_t> indices;
  std::span<const std::uint8_t> samples;  // indices.size() * sample_bytes
};

/// The batch cannot be had, because a sample could not be made. what() has the path of its file and the what() of the
/// exception, or "unknown exception".
struct SampleError : std::runtime_error {
  SampleError(const std::filesystem::path& file, const std::string& reason)
      : std::runtime_error(file.string() + ": " + reason) {}
};

/// The batch cannot be had, because the worker ended that was to make it.
struct DeadWorker : std::runtime_error {
  DeadWorker(pid_t worker_pid, std::size_t batch_number)
      : std::runtime_error("worker " + std::to_string(worker_pid) + " ended; it had batch " +
                           std::to_string(batch_number)),
        worker(worker_pid),
        batch(batch_number) {}
  pid_t worker;
  std::size_t batch;  // 0 for the first one of the epoch
};

/// Gives out a data set in batches, epoch after epoch.
///
/// In an epoch each index comes once, in the order epoch_order(files.size(), seed, epoch). Each batch has batch_size of
/// them, but for the last one, which has what is left. The sample of an index is what load() makes of its file with
/// Random(seed, epoch, index). So nothing of what is given out depends on the number of workers.
///
/// With workers > 0, samples are made in that many worker processes of the server, and nowhere else, each of which
/// makes one batch at a time. As long as batches are left, workers * prefetch_factor of them are under way or ready
/// besides the one that next() gave out last, from start_epoch() on and whether or not anybody asks for them; and never
/// more. A batch comes through memory that the worker and this process share: no sample is copied. With workers == 0,
/// next() makes its batch itself.
///
/// For one thread at a time.
class DataLoader {
 public:
  /// The server outlives the loader. Throws std::invalid_argument if load is null, or sample_bytes, batch_size or
  /// prefetch_factor is less than 1, or workers less than 0.
  DataLoader(ForkServer& server, LoaderOptions options) {
    (void)server, (void)options;  // take this line out once you use them
    interleave::not_done();
  }

  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  /// Returns when no worker is left (ForkServer::count()). It does not wait for batches that are under way, and leaves
  /// no descriptor, mapping, segment or file behind.
  ~DataLoader() = default;

  /// Begins an epoch, and gives up what is left of the one before. Workers that have ended are replaced.
  void start_epoch(std::uint64_t epoch) {
    (void)epoch;  // take this line out once you use it
    interleave::not_done();
  }

  /// The next batch in order; waits for it if need be. Nothing when the epoch is over, or none was begun.
  ///
  /// If the batch cannot be had, throws a SampleError or a DeadWorker in its place, and that is the end of the epoch:
  /// the next call gives nothing. The batches before it are given out all the same.
  std::optional<Batch> next() { interleave::not_done(); }
};
