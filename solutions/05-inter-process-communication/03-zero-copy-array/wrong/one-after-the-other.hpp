// Waits for each worker before it starts the next, so that no two touch the array at the same time: they never would,
// each has its slice, and so all but one core idle.
// caught: plain, ForEachSlice.HasAllWorkersAtWorkAtTheSameTimeEachInAProcessOfItsOwn, over-synchronised

#pragma once

#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
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
  std::vector<pid_t> children;
  children.reserve(slices);

  // Waits for the workers started so far, and returns the first one that failed.
  auto join_all = [&children] {
    std::optional<std::size_t> failed;
    for (std::size_t i = 0; i < children.size(); ++i) {
      int status = 0;
      while (::waitpid(children[i], &status, 0) < 0 && errno == EINTR) {
      }
      const bool succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      if (!succeeded && !failed) failed = i;
    }
    return failed;
  };

  std::size_t begin = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    const std::size_t size = elements.size() / slices + (i < elements.size() % slices ? 1 : 0);
    const pid_t pid = ::fork();
    if (pid < 0) {
      const int error = errno;
      for (pid_t child : children) ::kill(child, SIGKILL);
      join_all();
      throw std::system_error(error, std::generic_category(), "fork");
    }
    if (pid == 0) {
      // The worker. From here on there is no way out but _exit.
      try {
        work(elements.subspan(begin, size));
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    children.push_back(pid);
    begin += size;
    siginfo_t ended{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
  }
  if (const auto failed = join_all()) throw WorkerFailed(*failed);
}
