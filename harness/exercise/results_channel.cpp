#include "exercise/results_channel.hpp"

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

namespace interleave {

struct ResultsChannel::Memory {
  std::atomic<std::uint64_t> end;  // where the next record goes, unless somebody has claimed that place already
  Key key;                         // until the test program has attached
  alignas(64) std::byte records[capacity - 64];
};

namespace {

struct RecordHeader {
  std::atomic<std::uint32_t> size;      // bytes of text; 0 until a writer claims this place
  std::atomic<std::uint32_t> complete;  // 1 once the text is whole
  std::uint64_t seal;                   // of the place and the text
};

constexpr std::size_t room_for(std::size_t text_size) {
  return (sizeof(RecordHeader) + text_size + alignof(RecordHeader) - 1) & ~(alignof(RecordHeader) - 1);
}

std::uint64_t seal_of(const ResultsChannel::Key& key, std::uint64_t place, const char* text, std::size_t size) {
  std::uint64_t v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d;
  std::uint64_t v2 = key[0] ^ 0x6c7967656e657261, v3 = key[1] ^ 0x7465646279746573;
  auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  auto take = [&](std::uint64_t word) {
    v3 ^= word;
    round(), round();
    v0 ^= word;
  };
  take(place);
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text + at, std::min(sizeof(word), size - at));
    take(word);
  }
  take(size);
  v2 ^= 0xff;
  round(), round(), round(), round();
  return v0 ^ v1 ^ v2 ^ v3;
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
  auto* memory = static_cast<Memory*>(map(descriptor));
  if (::getrandom(&memory->key, sizeof(memory->key), 0) != sizeof(memory->key)) {
    int error = errno;
    ::munmap(memory, capacity);
    ::close(descriptor);
    throw std::system_error(error, std::generic_category(), "getrandom");
  }
  return {memory, descriptor, memory->key};
}

ResultsChannel ResultsChannel::attach(int descriptor) {
  auto* memory = static_cast<Memory*>(map(descriptor));
  ::close(descriptor);
  return {memory, -1, std::exchange(memory->key, Key{})};
}

ResultsChannel::ResultsChannel(ResultsChannel&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      key_(other.key_) {}

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
  const std::uint64_t place = at;  // whoever moved the end first leaves another value in `at`
  memory_->end.compare_exchange_strong(at, place + room_for(size));
  std::memcpy(header + 1, record.data(), size);
  header->seal = seal_of(key_, place, record.data(), size);
  header->complete.store(1, std::memory_order_release);
}

bool ResultsChannel::read(const std::function<void(std::string_view)>& visit) {
  bool genuine = true;
  auto visit_if_complete = [&](std::size_t at) {
    auto* header = reinterpret_cast<const RecordHeader*>(memory_->records + at);
    if (header->complete.load(std::memory_order_acquire) != 1) return false;
    // A copy: whoever has the memory mapped could write to it while this is read.
    std::size_t size = header->size.load(std::memory_order_relaxed);
    std::string text;
    if (at + room_for(size) <= sizeof(memory_->records)) text.assign(reinterpret_cast<const char*>(header + 1), size);
    if (header->seal == seal_of(key_, at, text.data(), text.size())) {
      visit(text);
    } else {
      genuine = false;
    }
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
  return genuine;
}

}  // namespace interleave
