// Starts threads: they share all memory anyway and no copy is made, but the work runs in the caller's process, where
// one crash, or one interpreter lock, is everybody's.
// caught: plain, ForEachSlice.HasAllWorkersAtWorkAtTheSameTimeEachInAProcessOfItsOwn, wrong answer

#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

class SharedBuffer {
 public:
  explicit SharedBuffer(std::size_t size) {
    if (size == 0) return;  // mmap knows no mapping without a byte
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    bytes_ = {static_cast<std::byte*>(address), size};
  }
  SharedBuffer(const SharedBuffer&) = delete;
  SharedBuffer& operator=(const SharedBuffer&) = delete;
  ~SharedBuffer() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
  }

  std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

template <typename T>
requires std::is_trivially_copyable_v<T> std::span<T> array_in(std::span<std::byte> memory, std::size_t offset,
                                                               std::size_t count) {
  // By subtraction and division: offset + count * sizeof(T) may be more than a number can be.
  if (offset > memory.size() || count > (memory.size() - offset) / sizeof(T)) {
    throw std::invalid_argument("array_in: the memory ends before the array does");
  }
  std::byte* first = memory.data() + offset;
  if (reinterpret_cast<std::uintptr_t>(first) % alignof(T) != 0) {
    throw std::invalid_argument("array_in: the address is not aligned for the type");
  }
  return {reinterpret_cast<T*>(first), count};
}

class WorkerFailed : public std::runtime_error {
 public:
  explicit WorkerFailed(std::size_t worker)
      : std::runtime_error("worker " + std::to_string(worker) + " failed"), worker_(worker) {}

  std::size_t worker() const noexcept { return worker_; }

 private:
  std::size_t worker_;
};

template <typename T, typename Work>
void for_each_slice(std::span<T> elements, std::size_t workers, Work work) {
  if (workers == 0) throw std::invalid_argument("for_each_slice: no workers");
  const std::size_t slices = std::min(workers, elements.size());
  std::vector<std::exception_ptr> failures(slices);
  std::vector<std::thread> threads;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    const std::size_t size = elements.size() / slices + (i < elements.size() % slices ? 1 : 0);
    threads.emplace_back([&work, &failure = failures[i], slice = elements.subspan(begin, size)] {
      try {
        work(slice);
      } catch (...) {
        failure = std::current_exception();
      }
    });
    begin += size;
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < slices; ++i) {
    if (failures[i]) throw WorkerFailed(i);
  }
}
