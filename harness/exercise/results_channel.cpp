#include "exercise/results_channel.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace interleave {

struct ResultsChannel::Memory {
  std::atomic<std::uint64_t> end;  // where the next record goes, unless somebody has claimed that place already
  alignas(64) std::byte records[capacity - 64];
};

namespace {

struct RecordHeader {
  std::atomic<std::uint32_t> size;      // bytes of text; 0 until a writer claims this place
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
  auto size = static_cast<std::uint32_t>(record.size());
  std::uint64_t at = memory_->end.load(std::memory_order_acquire);
  RecordHeader* header = nullptr;
  for (;;) {
    if (at + room_for(size) > sizeof(memory_->records)) return;
    header = reinterpret_cast<RecordHeader*>(memory_->records + at);
    std::uint32_t claimed = 0;
    if (header->size.compare_exchange_strong(claimed, size)) break;
    // Somebody was here first, and may have been killed before he moved the end.
    std::uint64_t behind = at + room_for(claimed);
    if (memory_->end.compare_exchange_strong(at, behind)) at = behind;
  }
  memory_->end.compare_exchange_strong(at, at + room_for(size));
  std::memcpy(header + 1, record.data(), size);
  header->complete.store(1, std::memory_order_release);
}

void ResultsChannel::read(const std::function<void(std::string_view)>& visit) {
  auto visit_if_complete = [&](std::size_t at) {
    auto* header = reinterpret_cast<const RecordHeader*>(memory_->records + at);
    if (header->complete.load(std::memory_order_acquire) != 1) return false;
    visit({reinterpret_cast<const char*>(header + 1), header->size.load(std::memory_order_relaxed)});
    return true;
  };
  std::erase_if(incomplete_, visit_if_complete);
  while (read_to_ + sizeof(RecordHeader) <= sizeof(memory_->records)) {
    auto* header = reinterpret_cast<const RecordHeader*>(memory_->records + read_to_);
    std::size_t size = header->size.load(std::memory_order_acquire);
    if (size == 0 || read_to_ + room_for(size) > sizeof(memory_->records)) break;
    if (!visit_if_complete(read_to_)) incomplete_.push_back(read_to_);
    read_to_ += room_for(size);
  }
}

}  // namespace interleave
