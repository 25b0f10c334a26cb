#include "exercise/results_channel.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace interleave {

struct ResultsChannel::Memory {
  std::atomic<std::uint64_t> reserved;  // bytes of `records` that writers have taken
  alignas(64) std::byte records[capacity - 64];
};

namespace {

struct RecordHeader {
  std::atomic<std::uint32_t> size;      // bytes of text; 0 until the writer has come this far
  std::atomic<std::uint32_t> complete;  // 1 once the text is whole
};

constexpr std::size_t room_for(std::size_t text_size) {
  return (sizeof(RecordHeader) + text_size + alignof(RecordHeader) - 1) & ~(alignof(RecordHeader) - 1);
}

void* map(int descriptor) {
  void* memory = ::mmap(nullptr, ResultsChannel::capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap of the results channel");
  return memory;
}

}  // namespace

ResultsChannel ResultsChannel::create() {
  static_assert(sizeof(Memory) <= capacity);
  int descriptor = ::memfd_create("interleave-results", MFD_CLOEXEC);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
  if (::ftruncate(descriptor, capacity) != 0) {
    int error = errno;
    ::close(descriptor);
    throw std::system_error(error, std::generic_category(), "ftruncate of the results channel");
  }
  return {static_cast<Memory*>(map(descriptor)), descriptor};
}

ResultsChannel ResultsChannel::attach(int descriptor) {
  auto* memory = static_cast<Memory*>(map(descriptor));
  ::close(descriptor);
  return {memory, -1};
}

ResultsChannel::ResultsChannel(ResultsChannel&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), descriptor_(std::exchange(other.descriptor_, -1)) {}

ResultsChannel::~ResultsChannel() {
  if (memory_ != nullptr) ::munmap(memory_, capacity);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ResultsChannel::append(std::string_view record) {
  std::size_t room = room_for(record.size());
  std::uint64_t at = memory_->reserved.fetch_add(room, std::memory_order_relaxed);
  if (at + room > sizeof(memory_->records)) return;
  auto* header = reinterpret_cast<RecordHeader*>(memory_->records + at);
  header->size.store(static_cast<std::uint32_t>(record.size()), std::memory_order_release);
  std::memcpy(header + 1, record.data(), record.size());
  header->complete.store(1, std::memory_order_release);
}

std::size_t ResultsChannel::read(std::size_t offset, const std::function<void(std::string_view)>& visit,
                                 bool skip_incomplete) const {
  std::size_t end = memory_->reserved.load(std::memory_order_acquire);
  if (end > sizeof(memory_->records)) end = sizeof(memory_->records);
  while (offset + sizeof(RecordHeader) <= end) {
    auto* header = reinterpret_cast<const RecordHeader*>(memory_->records + offset);
    std::size_t size = header->size.load(std::memory_order_acquire);
    if (size == 0 || offset + room_for(size) > end) break;
    if (header->complete.load(std::memory_order_acquire) == 1) {
      visit({reinterpret_cast<const char*>(header + 1), size});
    } else if (!skip_incomplete) {
      break;
    }
    offset += room_for(size);
  }
  return offset;
}

}  // namespace interleave
