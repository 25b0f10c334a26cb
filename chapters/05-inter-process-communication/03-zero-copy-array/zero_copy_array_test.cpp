#include "exercise/test.hpp"

#include <given/resource_limit.hpp>
#include <zero_copy_array.hpp>

using interleave::FailureKind;
using interleave::in_parent;
using interleave::Rendezvous;
using interleave::Shared;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();

// The lecture's array, or one of another size.
struct Numbers {
  explicit Numbers(std::size_t count = 1'000'000)
      : buffer(count * sizeof(double)), elements(array_in<double>(buffer.bytes(), 0, count)) {
    for (std::size_t i = 0; i < std::min(count, std::size_t{1'000'000}); ++i) elements[i] = static_cast<double>(i);
  }
  SharedBuffer buffer;
  std::span<double> elements;
};

// Each element in one step, so that one which is in two slices is doubled twice, always.
void double_all(std::span<double> slice) {
  for (double& element : slice) {
    std::atomic_ref<double> number(element);
    for (double old = number; !number.compare_exchange_weak(old, 2 * old);) {
    }
  }
}

// Whether a byte of these is in a mapping that this process shares with others.
bool is_mapped(const std::byte* first, std::size_t size) {
  const auto begin = reinterpret_cast<std::uintptr_t>(first);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t dash = line.find('-'), space = line.find(' ');
    const bool overlaps = std::stoull(line.substr(0, dash), nullptr, 16) < begin + size &&
                          std::stoull(line.substr(dash + 1, space), nullptr, 16) > begin;
    if (overlaps && line[space + 4] == 's') return true;
  }
  return false;
}

// The bytes that this process and the children that it has waited for have read and written by system calls so far;
// nothing if the kernel does not tell.
std::optional<std::size_t> transferred() {
  std::ifstream file("/proc/self/io");
  std::size_t bytes = 0, count = 0, lines = 0;
  for (std::string word; file >> word >> count;) {
    if (word == "rchar:" || word == "wchar:") bytes += count, ++lines;
  }
  return lines == 2 ? std::optional(bytes) : std::nullopt;
}

// The worker that for_each_slice says has failed; nothing if it throws no WorkerFailed.
std::optional<std::size_t> failed_worker(std::span<double> elements, std::size_t workers,
                                         const std::function<void(std::span<double>)>& work) {
  try {
    in_parent([&] { for_each_slice(elements, workers, work); });
  } catch (const WorkerFailed& failed) {
    return failed.worker();
  }
  return std::nullopt;
}

}  // namespace

TEST(ArrayIn, GivesTheElementsThatAreInTheMemory) {
  alignas(64) std::array<std::byte, 64> memory;
  const std::span<double> doubles = array_in<double>(memory, 16, 3);
  EXPECT_EQ(static_cast<void*>(doubles.data()), &memory[16]) << "the offset is in bytes";
  EXPECT_EQ(doubles.size(), 3U) << "the count is in elements";
  EXPECT_EQ(array_in<double>(memory, 0, 8).size(), 8U) << "8 doubles of 8 bytes in 64 bytes";
  EXPECT_EQ(array_in<float>(memory, 4, 15).size(), 15U) << "15 floats of 4 bytes, from byte 4 on, in 64 bytes";
  EXPECT_EQ(array_in<double>(memory, 64, 0).size(), 0U) << "no element at the end of the memory";
}

TEST(ArrayIn, RefusesAnArrayThatTheMemoryDoesNotHold) {
  alignas(64) std::array<std::byte, 64> memory;
  for (auto [offset, count] : {std::pair{std::size_t{0}, std::size_t{9}},
                               {8, 8},
                               {64, 1},
                               {72, 0},
                               {0, 64},
                               {0, largest / sizeof(double) + 2},
                               {largest - 7, 2},
                               {0, largest}}) {
    EXPECT_THROW(array_in<double>(memory, offset, count), std::invalid_argument)
        << count << " doubles, from byte " << offset << " on, in 64 bytes";
  }
}

TEST(ArrayIn, RefusesAnAddressThatIsNotAligned) {
  alignas(64) std::array<std::byte, 64> memory;
  const std::span<std::byte> from_4 = std::span(memory).subspan(4);
  EXPECT_THROW(array_in<double>(memory, 4, 1), std::invalid_argument) << "a double at an address of 64 n + 4";
  EXPECT_THROW(array_in<double>(from_4, 0, 1), std::invalid_argument)
      << "a double at offset 0 of memory that begins at an address of 64 n + 4";
  EXPECT_EQ(array_in<double>(from_4, 4, 1).size(), 1U)
      << "a double at offset 4 of memory that begins at an address of 64 n + 4";
  EXPECT_EQ(array_in<float>(from_4, 0, 1).size(), 1U) << "a float at an address of 64 n + 4";
}

TEST(SharedBuffer, HasItsBytesFromTheStartOfAPage) {
  SharedBuffer buffer(10'000);
  EXPECT_EQ(buffer.bytes().size(), 10'000U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.bytes().data()) % static_cast<std::uintptr_t>(getpagesize()), 0U)
      << "the address of the first byte, modulo the page size";
}

TEST(SharedBuffer, MayHaveNoBytes) { EXPECT_EQ(SharedBuffer(0).bytes().size(), 0U); }

TEST(SharedBuffer, IsSharedWithTheChildrenOfTheProcess) {
  SharedBuffer buffer(10'000);
  const pid_t child = fork();
  if (child == 0) {
    buffer.bytes()[9'999] = std::byte{1};
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(buffer.bytes()[9'999], std::byte{1}) << "what a child has written into byte 9,999";
}

TEST(SharedBuffer, GivesTheMemoryBack) {
  std::optional<SharedBuffer> buffer(10'000);
  std::byte* const first = buffer->bytes().data();
  buffer.reset();
  EXPECT_FALSE(is_mapped(first, 10'000)) << FailureKind::leak << "the buffer is destroyed and its memory still mapped";
}

TEST(SharedBuffer, SaysSoWhenItCannotHaveTheMemory) {
  ResourceLimit little_room(RLIMIT_AS, address_space_and(16 * mebibyte));
  try {
    SharedBuffer buffer(64 * mebibyte);
    ADD_FAILURE() << "64 MiB in a process with no room for them, so SharedBuffer must throw std::system_error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOMEM) << "the code of the exception is the error of the operating system";
  }
}

TEST(ForEachSlice, LeavesNoWorkerBehind) {
  // What is left after a test is found after every test; this one does nothing else, so that it is found here.
  Numbers numbers(4);
  in_parent([&] { for_each_slice(numbers.elements, 4, double_all); });
}

TEST(ForEachSlice, DoublesAMillionNumbersInPlace) {
  for (std::size_t workers : {1, 3, 7}) {
    Numbers numbers;
    in_parent([&] { for_each_slice(numbers.elements, workers, double_all); });
    for (std::size_t i = 0; i < numbers.elements.size(); ++i) {
      ASSERT_EQ(numbers.elements[i], 2.0 * static_cast<double>(i)) << "element " << i << ", " << workers << " workers";
    }
  }
}

TEST(ForEachSlice, HasAllWorkersAtWorkAtTheSameTimeEachInAProcessOfItsOwn) {
  Numbers numbers(4);
  Shared<std::array<std::atomic<pid_t>, 4>> parents;
  Rendezvous all(4, "4 workers at work at the same time");
  in_parent([&] {
    for_each_slice(numbers.elements, 4, [&](std::span<double> slice) {
      parents->at(static_cast<std::size_t>(slice[0])) = getppid();
      all.arrive_and_wait();
    });
  });
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(parents->at(static_cast<std::size_t>(i)), getpid())
        << "the parent of the process that worked on slice " << i << " must be the process that called you";
  }
}

TEST(ForEachSlice, HandsOutTheElementsThemselves) {
  Numbers numbers(2);
  Shared<std::atomic<double>> seen;
  Rendezvous written(2, "2 workers at work at the same time"), read(2, "2 workers at work at the same time");
  in_parent([&] {
    for_each_slice(numbers.elements, 2, [&](std::span<double> slice) {
      const bool first = slice[0] == 0;
      if (first) slice[0] = 42;
      written.arrive_and_wait();
      if (!first) *seen = numbers.elements[0];
      read.arrive_and_wait();
    });
  });
  EXPECT_EQ(*seen, 42) << "what worker 1 finds in element 0 of the array after worker 0 has written 42 into its slice, "
                          "while both are still at work; a worker must have the elements, and not a copy";
}

TEST(ForEachSlice, CutsSlicesWhoseSizesDifferByOneAtTheMost) {
  struct Cut {
    std::size_t elements, workers;
    std::vector<std::size_t> sizes;
  };
  for (const Cut& cut : {Cut{10, 4, {3, 3, 2, 2}},
                         {11, 4, {3, 3, 3, 2}},
                         {12, 4, {3, 3, 3, 3}},
                         {5, 1, {5}},
                         {3, 5, {1, 1, 1}},
                         {1, 1000, {1}},
                         {0, 3, {}}}) {
    Numbers numbers(cut.elements);
    Shared<std::atomic<std::size_t>> calls;
    Shared<std::array<std::atomic<std::size_t>, 16>> size_at;
    in_parent([&] {
      for_each_slice(numbers.elements, cut.workers, [&](std::span<double> slice) {
        ++*calls;
        if (!slice.empty())
          size_at->at(static_cast<std::size_t>(slice.data() - numbers.elements.data())) = slice.size();
      });
    });
    const std::string which = std::to_string(cut.elements) + " elements, " + std::to_string(cut.workers) + " workers";
    EXPECT_EQ(*calls, cut.sizes.size()) << "calls of work() in all processes together, " << which;
    std::size_t begin = 0;
    for (std::size_t size : cut.sizes) {
      EXPECT_EQ(size_at->at(begin), size) << "elements in the slice that begins at element " << begin << ", " << which;
      begin += size;
    }
  }
}

TEST(ForEachSlice, SendsNothingThroughTheKernel) {
  if (!transferred()) GTEST_SKIP() << "this kernel does not tell what a process has read and written (/proc/self/io)";
  Numbers numbers;
  const std::size_t before = *transferred();
  in_parent([&] { for_each_slice(numbers.elements, 2, double_all); });
  EXPECT_LE(*transferred() - before, mebibyte)
      << "bytes that you and the workers have read and written by system calls, for an array of 8,000,000 bytes";
}

TEST(ForEachSlice, NeedsNoRoomForACopy) {
  Numbers numbers(8 * mebibyte);
  // A copy of the array takes 64 MiB in the caller, or 32 MiB in each worker.
  ResourceLimit little_room(RLIMIT_AS, address_space_and(24 * mebibyte));
  EXPECT_NO_THROW(in_parent([&] {
    for_each_slice(numbers.elements, 2, [](std::span<double> slice) { slice[0] = 42; });
  })) << "the array has 64 MiB, and the process and its workers have room for 24 MiB more";
  EXPECT_EQ(numbers.elements[0], 42) << "what worker 0 has written into its slice";
}

TEST(ForEachSlice, WaitsForAllWorkersWhenSomeFail) {
  // Whoever is not waited for is found after the test.
  Numbers numbers(3);
  failed_worker(numbers.elements, 3, [](std::span<double>) { throw std::runtime_error("a bad day for all"); });
}

TEST(ForEachSlice, SaysWhichWorkerFailed) {
  using Slice = std::span<double>;
  Numbers numbers(3);
  EXPECT_EQ(failed_worker(numbers.elements, 3, double_all), std::nullopt) << "no worker has failed";
  EXPECT_EQ(failed_worker(numbers.elements, 3,
                          [](Slice slice) {
                            if (slice[0] == 2) throw std::runtime_error("worker 1 has a bad day");
                            double_all(slice);
                          }),
            1U)
      << "work() threw in worker 1";
  EXPECT_EQ(failed_worker(numbers.elements, 3,
                          [](Slice slice) {
                            if (slice[0] == 8) raise(SIGKILL);
                            double_all(slice);
                          }),
            2U)
      << "a signal ended worker 2";
  EXPECT_EQ(failed_worker(numbers.elements, 3,
                          [](Slice slice) {
                            if (slice[0] == 0) _exit(3);
                            double_all(slice);
                          }),
            0U)
      << "worker 0 ended with status 3";
  EXPECT_EQ(failed_worker(numbers.elements, 3,
                          [](Slice slice) {
                            if (slice[0] > 0) throw std::runtime_error("workers 1 and 2 have a bad day");
                          }),
            1U)
      << "workers 1 and 2 have failed; the first counts";
  EXPECT_EQ(numbers.elements[1], 8) << "element 1 was 2 after the first call, and worker 1 doubled it in both calls in "
                                       "which another worker failed";
}

TEST(ForEachSlice, EndsTheRunningWorkersWhenOneCannotBeStarted) {
  Numbers numbers(3);
  interleave::FailingFork third_fork_fails(2);
  try {
    in_parent([&] {
      for_each_slice(numbers.elements, 3, [](std::span<double>) {
        while (true) pause();  // only a signal ends these workers
      });
    });
    ADD_FAILURE() << "the third fork() failed with EAGAIN, so for_each_slice must throw std::system_error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EAGAIN) << "the code of the exception is the error of fork()";
  }
}

TEST(ForEachSlice, RefusesToWorkWithoutWorkers) {
  Numbers numbers(3);
  EXPECT_THROW(in_parent([&] { for_each_slice(numbers.elements, 0, double_all); }), std::invalid_argument);
  EXPECT_THROW(in_parent([&] { for_each_slice(numbers.elements.first(0), 0, double_all); }), std::invalid_argument)
      << "nothing to do, and still no workers";
}
