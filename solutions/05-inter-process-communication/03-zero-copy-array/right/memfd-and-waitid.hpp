// Shares a memfd instead of an anonymous mapping, lets std::align judge the address, computes where each slice begins
// instead of counting along, and takes the workers in the order in which they end.

#pragma once

#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

class SharedBuffer {
 public:
  explicit SharedBuffer(std::size_t size) : size_(size) {
    const int descriptor = ::memfd_create("shared-buffer", MFD_CLOEXEC);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
    if (::ftruncate(descriptor, static_cast<off_t>(size)) == 0) {
      // A byte more than there is, for the buffer that has none: what is not touched does no harm.
      memory_ = ::mmap(nullptr, size + 1, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    }
    const int error = errno;
    ::close(descriptor);
    if (memory_ == MAP_FAILED) throw std::system_error(error, std::generic_category(), "mmap");
  }
  SharedBuffer(const SharedBuffer&) = delete;
  SharedBuffer& operator=(const SharedBuffer&) = delete;
  ~SharedBuffer() { ::munmap(memory_, size_ + 1); }

  std::span<std::byte> bytes() const noexcept { return {static_cast<std::byte*>(memory_), size_}; }

 private:
  void* memory_ = MAP_FAILED;
  std::size_t size_;
};

template <typename T>
requires std::is_trivially_copyable_v<T> std::span<T> array_in(std::span<std::byte> memory, std::size_t offset,
                                                               std::size_t count) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, sizeof(T), &bytes) || offset > memory.size() || bytes > memory.size() - offset) {
    throw std::invalid_argument("array_in: it does not fit in");
  }
  void* const first = memory.data() + offset;
  void* aligned = first;
  std::size_t room = bytes + alignof(T);
  if (std::align(alignof(T), bytes, aligned, room) != first) throw std::invalid_argument("array_in: not aligned");
  return {static_cast<T*>(first), count};
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
  workers = std::min(workers, elements.size());
  auto begin_of = [&](std::size_t i) { return elements.size() / workers * i + std::min(i, elements.size() % workers); };

  std::map<pid_t, std::size_t> running;
  int fork_error = 0;
  for (std::size_t i = 0; i < workers && fork_error == 0; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      int status = 1;
      try {
        work(elements.subspan(begin_of(i), begin_of(i + 1) - begin_of(i)));
        status = 0;
      } catch (...) {
      }
      ::_exit(status);
    }
    if (pid < 0) {
      fork_error = errno;
    } else {
      running.emplace(pid, i);
    }
  }
  if (fork_error != 0) {
    for (const auto& [pid, i] : running) ::kill(pid, SIGKILL);
  }

  std::size_t first_failed = workers;
  while (!running.empty()) {
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED) != 0) continue;
    const auto worker = running.extract(ended.si_pid);
    if (ended.si_code != CLD_EXITED || ended.si_status != 0) first_failed = std::min(first_failed, worker.mapped());
  }
  if (fork_error != 0) throw std::system_error(fork_error, std::generic_category(), "fork");
  if (first_failed < workers) throw WorkerFailed(first_failed);
}
