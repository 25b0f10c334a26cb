// Divides the number of samples by that of a batch: what is left over at the end of each epoch is never given out.
// caught: plain, DataLoader.GivesTheWholeEpochWithoutWorkers, wrong answer

#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <given/fork_server.hpp>  // ForkServer, Worker, WorkerContext
#include <given/random.hpp>       // Random, epoch_order()
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

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

struct Batch {
  std::vector<std::size_t> indices;
  std::span<const std::uint8_t> samples;  // indices.size() * sample_bytes
};

struct SampleError : std::runtime_error {
  SampleError(const std::filesystem::path& file, const std::string& reason)
      : std::runtime_error(file.string() + ": " + reason) {}
};

struct DeadWorker : std::runtime_error {
  DeadWorker(pid_t worker_pid, std::size_t batch_number)
      : std::runtime_error("worker " + std::to_string(worker_pid) + " ended; it had batch " +
                           std::to_string(batch_number)),
        worker(worker_pid),
        batch(batch_number) {}
  pid_t worker;
  std::size_t batch;  // 0 for the first one of the epoch
};

// Memory that is shared with the workers, for as many batches as there may be at a time.
class SharedMemory {
 public:
  // Null bytes is no memory.
  explicit SharedMemory(std::size_t bytes) : bytes_(bytes) {
    if (bytes_ == 0) return;
    descriptor_.reset(::memfd_create("batches", MFD_CLOEXEC));
    if (descriptor_.get() < 0 || ::ftruncate(descriptor_.get(), static_cast<off_t>(bytes_)) != 0) fail();
    map(descriptor_.get());
  }
  // In a worker: all of it.
  static SharedMemory attach(int descriptor) {
    SharedMemory memory(0);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) fail();
    memory.bytes_ = static_cast<std::size_t>(status.st_size);
    memory.map(descriptor);
    return memory;
  }
  SharedMemory(SharedMemory&& other) noexcept
      : bytes_(other.bytes_), start_(std::exchange(other.start_, nullptr)), descriptor_(std::move(other.descriptor_)) {}
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory() {
    if (start_ != nullptr) ::munmap(start_, bytes_);
  }

  int descriptor() const { return descriptor_.get(); }
  std::span<std::uint8_t> part(std::size_t begin, std::size_t bytes) const { return {start_ + begin, bytes}; }

 private:
  [[noreturn]] static void fail() { throw std::system_error(errno, std::generic_category(), "memory for batches"); }
  void map(int descriptor) {
    void* start = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (start == MAP_FAILED) fail();
    start_ = static_cast<std::uint8_t*>(start);
  }

  std::size_t bytes_;
  std::uint8_t* start_ = nullptr;
  Descriptor descriptor_;
};

inline bool send_all(int socket, const void* data, std::size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes += sent, size -= static_cast<std::size_t>(sent);
  }
  return true;
}

inline bool receive_all(int socket, void* data, std::size_t size) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    ssize_t got = ::recv(socket, bytes, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got, size -= static_cast<std::size_t>(got);
  }
  return true;
}

inline bool send_text(int socket, const std::string& text) {
  const std::size_t size = text.size();
  return send_all(socket, &size, sizeof(size)) && send_all(socket, text.data(), size);
}

inline bool receive_text(int socket, std::string& text) {
  std::size_t size = 0;
  if (!receive_all(socket, &size, sizeof(size))) return false;
  text.resize(size);
  return receive_all(socket, text.data(), size);
}

// What a worker is told of a batch; the index and the path of each sample follow. It answers with one sample that could
// not be made and the reason, or with how many there are and no reason.
struct Job {
  LoadSample load;
  std::size_t sample_bytes, first_byte, samples;
  std::uint64_t seed, epoch;
};

// Makes one sample. Returns what an exception said; nothing if all is well.
inline std::optional<std::string> make_sample(const Job& job, const std::string& path, std::uint64_t index,
                                              std::span<std::uint8_t> sample) {
  try {
    Random random(job.seed, job.epoch, index);
    job.load(path, random, sample);
    return std::nullopt;
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "unknown exception";
  }
}

inline void make_batches(const WorkerContext& context) {
  SharedMemory memory = SharedMemory::attach(context.descriptors[0]);
  Job job{};
  while (receive_all(context.socket, &job, sizeof(job))) {
    std::size_t failed = job.samples;
    std::string path, reason;
    for (std::size_t i = 0; i < job.samples; ++i) {
      std::uint64_t index = 0;
      if (!receive_all(context.socket, &index, sizeof(index)) || !receive_text(context.socket, path)) return;
      if (failed < job.samples) continue;
      auto error = make_sample(job, path, index, memory.part(job.first_byte + i * job.sample_bytes, job.sample_bytes));
      if (error) failed = i, reason = *error;
    }
    if (!send_all(context.socket, &failed, sizeof(failed)) || !send_text(context.socket, reason)) return;
  }
}

class DataLoader {
 public:
  DataLoader(ForkServer& server, LoaderOptions options)
      : server_(server), options_(checked(std::move(options))), memory_(batch_bytes() * places()) {
    if (options_.workers == 0) own_memory_.resize(batch_bytes());
    try {
      for (int i = 0; i < options_.workers; ++i) workers_.push_back(start_worker());
    } catch (...) {
      end_workers();
      throw;
    }
  }

  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  ~DataLoader() { end_workers(); }

  void start_epoch(std::uint64_t epoch) {
    // What is under way would be written into memory that the new batches get, and answers come in the order of the
    // jobs.
    while (received_ < sent_) {
      Answer ignored;
      receive_answer(ignored);
    }
    for (Worker& worker : workers_) {
      if (worker.has_ended()) worker = start_worker();
    }
    epoch_ = epoch;
    order_ = epoch_order(options_.files.size(), options_.seed, epoch);
    sent_ = received_ = 0;
    batches_ = order_.size() / batch_size();
    work_ahead(places() - 1);
  }

  std::optional<Batch> next() {
    const std::size_t number = received_;
    if (number >= batches_) return std::nullopt;
    Batch batch{indices_of(number), {}};
    if (workers_.empty()) {
      ++received_;
      make_batch_here(batch);
      return batch;
    }
    Answer answer;
    if (!receive_answer(answer)) {
      batches_ = 0;
      throw DeadWorker(worker_of(number).pid(), number);
    }
    if (answer.failed < batch.indices.size()) {
      batches_ = 0;
      throw SampleError(options_.files[batch.indices[answer.failed]], answer.reason);
    }
    work_ahead(number + places());  // into the place of the batch before this one
    batch.samples = memory_.part(first_byte_of(number), batch.indices.size() * options_.sample_bytes);
    return batch;
  }

 private:
  struct Answer {
    std::size_t failed = 0;
    std::string reason;
  };

  static LoaderOptions checked(LoaderOptions options) {
    if (options.load == nullptr || options.sample_bytes < 1 || options.batch_size < 1 || options.prefetch_factor < 1 ||
        options.workers < 0) {
      throw std::invalid_argument("DataLoader: an option is out of range");
    }
    return options;
  }

  std::size_t batch_size() const { return static_cast<std::size_t>(options_.batch_size); }
  std::size_t batch_bytes() const { return batch_size() * options_.sample_bytes; }
  // In the shared memory: for the batches that are under way or ready, and for the one that was given out.
  std::size_t places() const {
    auto ahead = static_cast<std::size_t>(options_.workers) * static_cast<std::size_t>(options_.prefetch_factor);
    return ahead == 0 ? 0 : ahead + 1;
  }
  std::size_t first_byte_of(std::size_t batch) const { return batch % places() * batch_bytes(); }

  std::vector<std::size_t> indices_of(std::size_t batch) const {
    auto begin = order_.begin() + static_cast<std::ptrdiff_t>(batch * batch_size());
    return {begin, begin + std::min(static_cast<std::ptrdiff_t>(batch_size()), order_.end() - begin)};
  }

  // The batches go round. Each worker makes its own in order, so it is known where the next answer comes from.
  Worker& worker_of(std::size_t batch) { return workers_[batch % workers_.size()]; }

  Worker start_worker() { return server_.spawn(make_batches, std::array{memory_.descriptor()}); }

  // Sends out the batches before this one. One that goes to a dead worker is missed when it is its turn.
  void work_ahead(std::size_t end) {
    if (workers_.empty()) return;
    for (; sent_ < std::min(end, batches_); ++sent_) {
      const int socket = worker_of(sent_).socket();
      const std::vector<std::size_t> indices = indices_of(sent_);
      Job job = job_of(indices.size());
      job.first_byte = first_byte_of(sent_);
      bool alive = send_all(socket, &job, sizeof(job));
      for (std::size_t i = 0; alive && i < indices.size(); ++i) {
        const std::uint64_t index = indices[i];
        alive = send_all(socket, &index, sizeof(index)) && send_text(socket, options_.files[index].string());
      }
    }
  }

  // The answer for the next batch. False if its worker has ended, and has been waited for.
  bool receive_answer(Answer& answer) {
    Worker& worker = worker_of(received_++);
    if (receive_all(worker.socket(), &answer.failed, sizeof(answer.failed)) &&
        receive_text(worker.socket(), answer.reason)) {
      return true;
    }
    worker.wait();
    return false;
  }

  Job job_of(std::size_t samples) const {
    return {options_.load, options_.sample_bytes, 0, samples, options_.seed, epoch_};
  }

  void make_batch_here(Batch& batch) {
    const Job job = job_of(batch.indices.size());
    for (std::size_t i = 0; i < batch.indices.size(); ++i) {
      const std::filesystem::path& file = options_.files[batch.indices[i]];
      std::span<std::uint8_t> sample(own_memory_.data() + i * options_.sample_bytes, options_.sample_bytes);
      if (auto error = make_sample(job, file.string(), batch.indices[i], sample)) {
        batches_ = 0;
        throw SampleError(file, *error);
      }
    }
    batch.samples = {own_memory_.data(), batch.indices.size() * options_.sample_bytes};
  }

  void end_workers() {
    for (Worker& worker : workers_) server_.kill(worker);
    for (Worker& worker : workers_) worker.wait();
  }

  ForkServer& server_;
  LoaderOptions options_;
  SharedMemory memory_;
  std::vector<std::uint8_t> own_memory_;  // of one batch, without workers
  std::vector<Worker> workers_;
  // Of the epoch: how many batches there are, how many have been sent to workers, and of how many an answer has come.
  std::uint64_t epoch_ = 0;
  std::vector<std::size_t> order_;
  std::size_t batches_ = 0, sent_ = 0, received_ = 0;
};
