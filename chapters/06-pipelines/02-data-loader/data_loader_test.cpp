#include "exercise/test.hpp"

#include <data_loader.hpp>

#include <given/photographs.hpp>

using interleave::FailureKind;
using interleave::in_parent;
using interleave::Onlooker;
using interleave::Rendezvous;
using interleave::Shared;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t side = 8, sample_bytes = side * side * 3;
constexpr std::uint64_t seed = 2024;

// What happens before a sample is made, by its index. To be set before the fork server is started, so that it is there
// in its workers.
std::function<void(std::size_t)> before_sample;

void load(const fs::path& file, Random& random, std::span<std::uint8_t> sample) {
  if (before_sample) before_sample(std::stoul(file.stem().string()));
  load_photograph(file, random, sample);
}

// A folder with small photographs, 0.jpg, 1.jpg and so on.
class Photographs {
 public:
  explicit Photographs(std::size_t count) {
    std::string name = (fs::temp_directory_path() / "photographs-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    folder_ = name;
    for (std::size_t i = 0; i < count; ++i) {
      files.push_back(folder_ / (std::to_string(i) + ".jpg"));
      write_jpeg(files.back(), draw_photograph(i, 24, 18));
    }
  }
  Photographs(const Photographs&) = delete;
  Photographs& operator=(const Photographs&) = delete;
  ~Photographs() {
    fs::remove_all(folder_);
    before_sample = nullptr;
  }

  LoaderOptions options(int batch_size, int workers, int prefetch_factor = 2) const {
    return {files, load, sample_bytes, batch_size, workers, prefetch_factor, seed};
  }

  std::vector<fs::path> files;

 private:
  fs::path folder_;
};

using Indices = std::vector<std::size_t>;

// The order of an epoch, cut into batches.
std::vector<Indices> batches_of(std::size_t samples, std::size_t batch_size, std::uint64_t epoch) {
  std::vector<Indices> batches;
  Indices order = epoch_order(samples, seed, epoch);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i % batch_size == 0) batches.emplace_back();
    batches.back().push_back(order[i]);
  }
  return batches;
}

// Whether the batch holds the samples of its own indices.
bool samples_are_right(const Photographs& photographs, const Batch& batch, std::uint64_t epoch) {
  if (batch.samples.size() != batch.indices.size() * sample_bytes) return false;
  for (std::size_t i = 0; i < batch.indices.size(); ++i) {
    std::array<std::uint8_t, sample_bytes> expected;
    Random random(seed, epoch, batch.indices[i]);
    load_photograph(photographs.files[batch.indices[i]], random, expected);
    if (!std::equal(expected.begin(), expected.end(), batch.samples.begin() + std::ptrdiff_t(i * sample_bytes))) {
      return false;
    }
  }
  return true;
}

// Takes the rest of an epoch out of the loader, beginning with batch `number`, and looks at each batch.
void expect_batches(DataLoader& loader, const Photographs& photographs, std::size_t batch_size, std::uint64_t epoch,
                    std::size_t number = 0) {
  std::vector<Indices> expected = batches_of(photographs.files.size(), batch_size, epoch);
  for (; number < expected.size(); ++number) {
    std::optional<Batch> batch = in_parent([&] { return loader.next(); });
    ASSERT_TRUE(batch) << "batch " << number << " of " << expected.size() << " in epoch " << epoch;
    ASSERT_EQ(batch->indices, expected[number]) << "the indices of batch " << number << " in epoch " << epoch;
    ASSERT_TRUE(samples_are_right(photographs, *batch, epoch))
        << "the samples of batch " << number << " must be those of load() with Random(seed, epoch, index)";
  }
  ASSERT_FALSE(in_parent([&] { return loader.next(); })) << "after the last batch of epoch " << epoch;
}

std::vector<pid_t> children_of(pid_t process) {
  std::string task = "/proc/" + std::to_string(process) + "/task/" + std::to_string(process);
  std::ifstream file(task + "/children");
  return {std::istream_iterator<pid_t>(file), {}};
}

// What every thread of the process does, but for the calling one: its state, and how often it has run.
std::string activity_of(pid_t process) {
  std::string all;
  std::error_code error;
  for (fs::directory_iterator it("/proc/" + std::to_string(process) + "/task", error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() == std::to_string(::gettid())) continue;
    std::ifstream status(it->path() / "status"), times(it->path() / "schedstat");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("State:") || line.find("ctxt_switches:") != std::string::npos) all += line + "\n";
    }
    std::string time;
    all += it->path().filename().string() + (times >> time, time) + "\n";
  }
  return all;
}

// Returns when the server, its workers and the other threads of this process sleep, all at the same moment: none of
// them has run from one look to the next. Then nobody will do anything before this thread does.
void wait_until_all_sleep(const ForkServer& server) {
  std::string before;
  for (int same = 0; same < 5;) {
    std::string now = activity_of(::getpid()) + activity_of(server.pid());
    for (pid_t worker : children_of(server.pid())) now += activity_of(worker);
    const bool runs = now.find("State:\tR") != std::string::npos || now.find("State:\tD") != std::string::npos;
    same = now == before && !runs ? same + 1 : 0;
    before = now;
    ::sched_yield();
  }
}

int workers_left(ForkServer& server) {
  ForkServer::Count count = server.count();
  return count.started - count.ended;
}

// The lines of /proc/self/maps that are mappings with MAP_SHARED.
std::vector<std::string> shared_mappings() {
  std::vector<std::string> lines;
  std::ifstream file("/proc/self/maps");
  for (std::string line; std::getline(file, line);) {
    if (line.find(' ') != std::string::npos && line[line.find(' ') + 4] == 's') lines.push_back(line);
  }
  return lines;
}

}  // namespace

TEST(DataLoader, RefusesOptionsOutOfRange) {
  Photographs photographs(1);
  ForkServer server;
  auto refuses = [&](auto change) {
    LoaderOptions options = photographs.options(1, 1);
    change(options);
    try {
      in_parent([&] { DataLoader(server, options); });
    } catch (const std::invalid_argument&) {
      return true;
    }
    return false;
  };
  EXPECT_TRUE(refuses([](auto& options) { options.load = nullptr; })) << "load is null";
  EXPECT_TRUE(refuses([](auto& options) { options.sample_bytes = 0; })) << "sample_bytes is 0";
  EXPECT_TRUE(refuses([](auto& options) { options.batch_size = 0; })) << "batch_size is 0";
  EXPECT_TRUE(refuses([](auto& options) { options.prefetch_factor = 0; })) << "prefetch_factor is 0";
  EXPECT_TRUE(refuses([](auto& options) { options.workers = -1; })) << "workers is -1";
}

TEST(DataLoader, GivesTheWholeEpochWithoutWorkers) {
  for (std::size_t count : {10, 8, 3, 0}) {
    Photographs photographs(count);
    ForkServer server;
    DataLoader loader(server, photographs.options(4, 0));
    EXPECT_FALSE(loader.next()) << "before the first epoch";
    for (std::uint64_t epoch : {0, 1}) {
      loader.start_epoch(epoch);
      expect_batches(loader, photographs, 4, epoch);
    }
    EXPECT_EQ(server.count().started, 0) << "workers that were started for a loader without workers";
  }
}

TEST(DataLoader, MakesSamplesInItsWorkersOnly) {
  Photographs photographs(12);
  Shared<std::array<std::atomic<pid_t>, 12>> makers, parents;
  before_sample = [&](std::size_t index) { (*makers)[index] = ::getpid(), (*parents)[index] = ::getppid(); };
  ForkServer server;
  DataLoader loader(server, photographs.options(2, 3));
  loader.start_epoch(0);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(in_parent([&] { return loader.next(); })) << "batch " << i << " of 6";
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ((*parents)[i], server.pid())
        << FailureKind::forbidden_shortcut << "the parent of the process that made sample " << i << ": the server";
  }
  EXPECT_LE(std::set<pid_t>(makers->begin(), makers->end()).size(), 3U) << "processes that made samples, of 3 workers";
}

TEST(DataLoader, GivesBatchesInOrderAndNotAsTheyAreReady) {
  Photographs photographs(12);
  std::vector<Indices> batches = batches_of(12, 2, 0);
  Rendezvous gate(2, "batch 0 made at last");
  before_sample = [&](std::size_t index) {
    if (index == batches[0][0]) gate.arrive_and_wait();
  };
  ForkServer server;
  DataLoader loader(server, photographs.options(2, 2));
  loader.start_epoch(0);
  wait_until_all_sleep(server);  // batch 1 is ready, and batch 0 is not
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();  // so next() waits
    gate.arrive_and_wait();
  });
  for (std::size_t i = 0; i < batches.size(); ++i) {
    std::optional<Batch> batch = in_parent([&] { return loader.next(); });
    if (i == 0) onlooker.call_is_over();
    ASSERT_TRUE(batch) << "batch " << i << " of 6";
    ASSERT_EQ(batch->indices, batches[i]) << "the indices of batch " << i << ", when batch 1 was ready before batch 0";
  }
}

TEST(DataLoader, HasAllWorkersAtWorkAtTheSameTime) {
  Photographs photographs(8);
  std::vector<Indices> batches = batches_of(8, 2, 0);
  Rendezvous all_inside(4, "4 workers at work at the same time, each with a batch of its own");
  before_sample = [&](std::size_t index) {
    for (const Indices& batch : batches) {
      if (batch[0] == index) all_inside.arrive_and_wait();
    }
  };
  ForkServer server;
  DataLoader loader(server, photographs.options(2, 4, 1));
  loader.start_epoch(0);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(in_parent([&] { return loader.next(); })) << "batch " << i << " of 4";
}

TEST(DataLoader, WorksAheadWithoutBeingAsked) {
  Photographs photographs(20);
  std::vector<Indices> batches = batches_of(20, 2, 0);
  Rendezvous begun(2, "batch 3 begun before next() is called (2 workers, prefetch_factor 2)");
  Rendezvous one_more(2, "batch 4 begun when next() has given out batch 0 (2 workers, prefetch_factor 2)");
  before_sample = [&](std::size_t index) {
    if (index == batches[3][0]) begun.arrive_and_wait();
    if (index == batches[4][0]) one_more.arrive_and_wait();
  };
  ForkServer server;
  DataLoader loader(server, photographs.options(2, 2));
  loader.start_epoch(0);
  begun.arrive_and_wait();
  EXPECT_TRUE(loader.next());
  one_more.arrive_and_wait();
}

TEST(DataLoader, WorksAheadNoFurtherThanItMay) {
  Photographs photographs(30);
  Shared<std::atomic<int>> begun;
  before_sample = [&](std::size_t) { ++*begun; };
  ForkServer server;
  DataLoader loader(server, photographs.options(2, 2));
  loader.start_epoch(0);
  wait_until_all_sleep(server);
  EXPECT_EQ(*begun, 8) << "samples that were begun before next() was called: 2 workers * prefetch_factor 2 * 2 samples";
  EXPECT_TRUE(loader.next());
  wait_until_all_sleep(server);
  EXPECT_EQ(*begun, 10) << "samples that were begun when one batch had been given out";
}

TEST(DataLoader, LeavesABatchAsItIsUntilTheNextCall) {
  Photographs photographs(30);
  ForkServer server;
  LoaderOptions options = photographs.options(2, 2);
  options.load = [](const fs::path& file, Random&, std::span<std::uint8_t> sample) {
    std::fill(sample.begin(), sample.end(), std::uint8_t(std::stoi(file.stem().string())));
  };
  DataLoader loader(server, options);
  loader.start_epoch(0);
  for (int i = 0; i < 3; ++i) {
    std::optional<Batch> batch = loader.next();
    ASSERT_TRUE(batch) << "batch " << i << " of 15";
    wait_until_all_sleep(server);  // the workers have made what they may make
    ASSERT_EQ(batch->samples.size(), 2 * sample_bytes);
    EXPECT_EQ(batch->samples.front(), batch->indices.front()) << "batch " << i << ", after the workers worked ahead";
    EXPECT_EQ(batch->samples.back(), batch->indices.back()) << "batch " << i << ", after the workers worked ahead";
  }
}

TEST(DataLoader, GivesTheSameForAnyNumberOfWorkers) {
  for (std::size_t count : {10, 8, 0}) {
    for (int workers : {1, 2, 4}) {
      Photographs photographs(count);
      ForkServer server;
      DataLoader loader(server, photographs.options(3, workers, workers == 2 ? 1 : 2));
      for (std::uint64_t epoch : {0, 1}) {
        loader.start_epoch(epoch);
        expect_batches(loader, photographs, 3, epoch);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(DataLoader, GivesUpTheRestOfAnEpoch) {
  Photographs photographs(20);
  const std::size_t first = batches_of(20, 2, 1)[0][0];
  Shared<std::atomic<bool>> second_epoch;
  Rendezvous gate(2, "batch 0 of the second epoch made at last");
  before_sample = [&](std::size_t index) {
    if (*second_epoch && index == first) gate.arrive_and_wait();
  };
  ForkServer server;
  DataLoader loader(server, photographs.options(2, 2));
  loader.start_epoch(0);
  EXPECT_TRUE(loader.next());
  wait_until_all_sleep(server);  // batches 1 to 4 are ready, and nobody wants them
  *second_epoch = true;
  loader.start_epoch(1);
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();  // so next() waits
    gate.arrive_and_wait();
  });
  expect_batches(loader, photographs, 2, 1);
  onlooker.call_is_over();
}

TEST(DataLoader, GivesBatchesInSharedMemory) {
  Photographs photographs(4);
  ForkServer server;
  DataLoader loader(server, photographs.options(4, 1));
  loader.start_epoch(0);
  std::optional<Batch> batch = loader.next();
  ASSERT_TRUE(batch);
  auto address = reinterpret_cast<std::uintptr_t>(batch->samples.data());
  bool shared = false;
  for (const std::string& line : shared_mappings()) {
    std::uintptr_t begin = 0, end = 0;
    std::sscanf(line.c_str(), "%lx-%lx", &begin, &end);
    shared = shared || (begin <= address && address + batch->samples.size() <= end);
  }
  EXPECT_TRUE(shared) << FailureKind::forbidden_shortcut << "the samples lie in memory that no other process can write";
}

TEST(DataLoader, NamesTheFileThatCannotBeRead) {
  for (int workers : {0, 2}) {
    for (const char* flaw : {"no file", "empty", "text", "cut off"}) {
      Photographs photographs(10);
      std::vector<Indices> batches = batches_of(10, 2, 0);
      const fs::path& bad = photographs.files[batches[3][1]];
      const std::string what = std::to_string(workers) + " workers, the file that is bad: " + flaw;
      if (flaw == std::string("cut off")) fs::resize_file(bad, fs::file_size(bad) / 2);
      if (flaw == std::string("empty")) fs::resize_file(bad, 0);
      if (flaw == std::string("text")) std::ofstream(bad) << "this is no photograph";
      if (flaw == std::string("no file")) fs::remove(bad);
      std::string reason = "nothing was thrown";
      try {
        JpegFile(bad).decode({0, 0, 24, 18});
      } catch (const std::exception& error) {
        reason = error.what();
      }
      ForkServer server;
      DataLoader loader(server, photographs.options(2, workers));
      loader.start_epoch(0);
      for (std::size_t i = 0; i < 3; ++i) {
        std::optional<Batch> batch = loader.next();
        ASSERT_TRUE(batch && batch->indices == batches[i]) << "batch " << i << " comes before batch 3; " << what;
      }
      try {
        in_parent([&] { return loader.next(); });
        FAIL() << "batch 3 cannot be had, so next() must throw SampleError; " << what;
      } catch (const SampleError& error) {
        std::string text = error.what();
        EXPECT_NE(text.find(bad.string()), std::string::npos) << "the path of the file is missing: " << text;
        EXPECT_NE(text.find(reason), std::string::npos) << "'" << reason << "' is missing: " << text;
      }
      EXPECT_FALSE(loader.next()) << "the epoch is over with the error; " << what;
      write_jpeg(bad, draw_photograph(batches[3][1], 24, 18));
      loader.start_epoch(1);
      expect_batches(loader, photographs, 2, 1);
    }
  }
}

TEST(DataLoader, TellsOfWhateverIsThrown) {
  for (int workers : {0, 1}) {
    Photographs photographs(2);
    before_sample = [](std::size_t index) { index == 1 ? throw 42 : 0; };
    ForkServer server;
    DataLoader loader(server, photographs.options(2, workers));
    loader.start_epoch(0);
    try {
      in_parent([&] { return loader.next(); });
      ADD_FAILURE() << "load() threw an int, so next() must throw SampleError";
    } catch (const SampleError& error) {
      EXPECT_EQ(std::string(error.what()), photographs.files[1].string() + ": unknown exception");
    }
  }
}

TEST(DataLoader, TellsWhichWorkerDiedWithWhichBatch) {
  // In the first sample of all, in the middle, and in the last.
  for (auto [number, sample] : {std::pair{0, 0}, {2, 1}, {4, 1}}) {
    for (bool by_signal : {true, false}) {
      Photographs photographs(10);
      std::vector<Indices> batches = batches_of(10, 2, 0);
      Shared<std::atomic<pid_t>> victim;
      before_sample = [&, fatal = batches[std::size_t(number)][std::size_t(sample)]](std::size_t index) {
        if (index != fatal || *victim != 0) return;
        *victim = ::getpid();
        if (by_signal) ::raise(SIGKILL);
        ::_exit(0);
      };
      ForkServer server;
      DataLoader loader(server, photographs.options(2, 2));
      loader.start_epoch(0);
      while (number < 4 && server.count().ended < 1) ::sched_yield();  // what is ready is given out all the same
      for (int i = 0; i < number; ++i) {
        std::optional<Batch> batch = in_parent([&] { return loader.next(); });
        ASSERT_TRUE(batch && samples_are_right(photographs, *batch, 0)) << "batch " << i << ", a worker died later";
      }
      try {
        in_parent([&] { return loader.next(); });
        FAIL() << "the worker with batch " << number << " died, so next() must throw DeadWorker";
      } catch (const DeadWorker& error) {
        EXPECT_EQ(error.worker, *victim) << "the worker that died";
        EXPECT_EQ(error.batch, std::size_t(number)) << "the batch that it was making";
      }
      EXPECT_FALSE(loader.next()) << "the epoch is over with the error";
      loader.start_epoch(1);
      expect_batches(loader, photographs, 2, 1);
      EXPECT_EQ(workers_left(server), 2) << "workers, after one was replaced";
    }
  }
}

TEST(DataLoader, ReplacesAWorkerThatDiedBetweenEpochs) {
  Photographs photographs(4);
  Shared<std::atomic<pid_t>> worker;
  before_sample = [&](std::size_t) { *worker = ::getpid(); };
  ForkServer server;
  DataLoader loader(server, photographs.options(2, 1));
  loader.start_epoch(0);
  expect_batches(loader, photographs, 2, 0);
  ::kill(*worker, SIGKILL);
  while (server.count().ended < 1) ::sched_yield();
  loader.start_epoch(1);
  expect_batches(loader, photographs, 2, 1);
}

TEST(DataLoader, LeavesNothingWhenTheConsumerStopsEarly) {
  Photographs photographs(20);
  std::vector<Indices> batches = batches_of(20, 2, 0);
  Rendezvous inside(3, "2 workers at work when the consumer stops");
  before_sample = [&](std::size_t index) {
    if (index != batches[1][0] && index != batches[2][0]) return;
    inside.arrive_and_wait();
    while (true) ::pause();
  };
  ForkServer server;
  const std::size_t mappings = shared_mappings().size();
  auto loader = std::make_unique<DataLoader>(server, photographs.options(2, 2));
  loader->start_epoch(0);
  EXPECT_TRUE(loader->next());
  inside.arrive_and_wait();
  in_parent([&] { loader.reset(); });
  EXPECT_EQ(workers_left(server), 0) << FailureKind::leak << "workers that are left when the loader is gone";
  EXPECT_EQ(shared_mappings().size(), mappings) << FailureKind::leak << "shared mappings that are left";
}
