// A thread for each worker, which takes the next batch when its worker is done: no worker waits behind a slow batch.

#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <given/fork_server.hpp>  // ForkServer, Worker, WorkerContext
#include <given/random.hpp>       // Random, epoch_order()
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
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

// Anonymous pages that several processes have mapped: a file without a name.
class Pages {
 public:
  Pages(int file, std::size_t bytes) : bytes_(bytes) {
    void* start = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (start == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    start_ = static_cast<std::uint8_t*>(start);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(start_, bytes_); }
  std::span<std::uint8_t> part(std::size_t begin, std::size_t bytes) const { return {start_ + begin, bytes}; }

 private:
  std::size_t bytes_;
  std::uint8_t* start_;
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
  std::size_t sample_bytes, first_byte, samples, all_bytes;
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
  Job job{};
  while (receive_all(context.socket, &job, sizeof(job))) {
    Pages memory(context.descriptors[0], job.all_bytes);
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
  DataLoader(ForkServer& server, LoaderOptions options) : server_(server), options_(std::move(options)) {
    if (options_.load == nullptr || options_.sample_bytes == 0)
      throw std::invalid_argument("DataLoader: what to load?");
    if (options_.batch_size <= 0 || options_.prefetch_factor <= 0 || options_.workers < 0) {
      throw std::invalid_argument("DataLoader: a number is out of range");
    }
    const auto ahead = static_cast<std::size_t>(options_.workers * options_.prefetch_factor);
    limit_ = ahead;
    if (ahead == 0) {
      own_.resize(place_bytes());
      return;
    }
    file_.reset(::memfd_create("batches", MFD_CLOEXEC));
    all_bytes_ = (ahead + 1) * place_bytes();
    if (file_.get() < 0 || ::ftruncate(file_.get(), static_cast<off_t>(all_bytes_)) != 0) {
      throw std::system_error(errno, std::generic_category(), "memfd_create");
    }
    pages_.emplace(file_.get(), all_bytes_);
    workers_.resize(static_cast<std::size_t>(options_.workers));
    try {
      for (Worker& worker : workers_) worker = start_worker();
      for (std::size_t i = 0; i < workers_.size(); ++i) threads_.emplace_back([this, i] { look_after(i); });
    } catch (...) {
      end();
      throw;
    }
  }

  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  ~DataLoader() { end(); }

  void start_epoch(std::uint64_t epoch) {
    std::unique_lock lock(mutex_);
    batches_.clear();  // nobody takes a batch any more
    begun_ = 0;
    changed_.wait(lock, [&] { return busy_ == 0; });
    for (Worker& worker : workers_) {
      if (worker.has_ended()) worker = start_worker();
    }
    made_.clear();
    free_places_.clear();
    for (std::size_t i = 0; i <= limit_; ++i) free_places_.push_back(i);
    lent_.reset();
    epoch_ = epoch;
    given_ = 0;
    for (std::size_t index : epoch_order(options_.files.size(), options_.seed, epoch)) {
      if (batches_.empty() || batches_.back().size() == static_cast<std::size_t>(options_.batch_size)) {
        batches_.emplace_back();
      }
      batches_.back().push_back(index);
    }
    changed_.notify_all();
  }

  std::optional<Batch> next() {
    std::unique_lock lock(mutex_);
    if (given_ >= batches_.size()) return std::nullopt;
    const std::size_t number = given_++;
    Batch batch{batches_[number], {}};
    if (workers_.empty()) {
      for (std::size_t i = 0; i < batch.indices.size(); ++i) {
        const std::size_t index = batch.indices[i];
        std::span<std::uint8_t> sample(own_.data() + i * options_.sample_bytes, options_.sample_bytes);
        auto error = make_sample(job(0), options_.files[index].string(), index, sample);
        if (error) fail(SampleError(options_.files[index], *error));
      }
      batch.samples = {own_.data(), batch.indices.size() * options_.sample_bytes};
      return batch;
    }
    if (lent_) free_places_.push_back(*lent_);
    lent_.reset();
    changed_.wait(lock, [&] { return made_.contains(number); });
    Made made = std::move(made_.at(number));
    made_.erase(number);
    if (made.dead != 0) fail(DeadWorker(made.dead, number));
    if (made.failed < batch.indices.size()) fail(SampleError(options_.files[batch.indices[made.failed]], made.reason));
    lent_ = made.place;
    batch.samples = pages_->part(made.place * place_bytes(), batch.indices.size() * options_.sample_bytes);
    changed_.notify_all();
    return batch;
  }

 private:
  struct Made {
    std::size_t place, failed;
    std::string reason;
    pid_t dead;
  };

  template <typename Error>
  [[noreturn]] void fail(Error error) {
    batches_.clear();
    throw std::move(error);
  }

  std::size_t place_bytes() const { return static_cast<std::size_t>(options_.batch_size) * options_.sample_bytes; }
  Worker start_worker() { return server_.spawn(make_batches, std::array{file_.get()}); }
  Job job(std::size_t place) const {
    return {options_.load, options_.sample_bytes, place * place_bytes(), 0, all_bytes_, options_.seed, epoch_};
  }
  // Whoever has nothing to do takes the next batch, if it is not too far ahead.
  bool may_begin() const { return begun_ < batches_.size() && begun_ < given_ + limit_ && !free_places_.empty(); }

  void look_after(std::size_t i) {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return ending_ || may_begin(); });
      if (ending_) return;
      const std::size_t number = begun_++;
      const std::vector<std::size_t> indices = batches_[number];
      Made made{free_places_.back(), 0, "", 0};
      free_places_.pop_back();
      Job task = job(made.place);
      task.samples = indices.size();
      Worker& worker = workers_[i];
      ++busy_;
      lock.unlock();
      bool alive = send_all(worker.socket(), &task, sizeof(task));
      for (std::size_t index : indices) {
        const std::uint64_t wide = index;
        alive = alive && send_all(worker.socket(), &wide, sizeof(wide)) &&
                send_text(worker.socket(), options_.files[index].string());
      }
      alive = alive && receive_all(worker.socket(), &made.failed, sizeof(made.failed)) &&
              receive_text(worker.socket(), made.reason);
      if (!alive) {
        made.dead = worker.pid();
        worker.wait();
      }
      lock.lock();
      --busy_;
      made_.emplace(number, std::move(made));
      changed_.notify_all();
    }
  }

  void end() {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
      changed_.notify_all();
    }
    for (Worker& worker : workers_) {
      if (worker.pid() > 0) server_.kill(worker);
    }
    for (std::thread& thread : threads_) thread.join();
    for (Worker& worker : workers_) {
      if (worker.pid() > 0) worker.wait();
    }
  }

  ForkServer& server_;
  LoaderOptions options_;
  std::size_t limit_ = 0, all_bytes_ = 0;
  Descriptor file_;
  std::optional<Pages> pages_;
  std::vector<std::uint8_t> own_;
  std::vector<Worker> workers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  int busy_ = 0;
  std::uint64_t epoch_ = 0;
  std::vector<std::vector<std::size_t>> batches_;
  std::size_t begun_ = 0, given_ = 0;
  std::vector<std::size_t> free_places_;
  std::optional<std::size_t> lent_;
  std::map<std::size_t, Made> made_;
  std::vector<std::thread> threads_;
};
