// Has room for the 253 descriptors that one message can carry, so that none is ever cut off for want of it, and closes
// all of them in one place unless one of them is what was asked for. Memory and descriptor sit in one heap object, and
// the compiler writes the moves.

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

class SharedBuffer {
 public:
  explicit SharedBuffer(std::size_t size) : memory_(std::make_unique<Memory>()) {
    if (size == 0) throw std::invalid_argument("SharedBuffer: a buffer of no bytes");
    memory_->descriptor = ::memfd_create("buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory_->descriptor < 0 || ::ftruncate(memory_->descriptor, static_cast<off_t>(size)) != 0 ||
        ::fcntl(memory_->descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      throw std::system_error(errno, std::generic_category(), "SharedBuffer");
    }
    memory_->map(size);
  }

  // Owns the descriptor once it returns.
  static SharedBuffer adopt(int descriptor, std::size_t size) {
    SharedBuffer buffer;
    buffer.memory_->map_from(descriptor, size);
    buffer.memory_->descriptor = descriptor;
    return buffer;
  }

  std::span<std::byte> bytes() const { return memory_->bytes; }
  int descriptor() const { return memory_->descriptor; }

 private:
  struct Memory {
    int descriptor = -1;
    std::span<std::byte> bytes;
    Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() {
      if (!bytes.empty()) ::munmap(bytes.data(), bytes.size());
      if (descriptor >= 0) ::close(descriptor);
    }
    void map(std::size_t size) { map_from(descriptor, size); }
    void map_from(int source, std::size_t size) {
      void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, source, 0);
      if (address == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
      bytes = {static_cast<std::byte*>(address), size};
    }
  };
  SharedBuffer() : memory_(std::make_unique<Memory>()) {}

  std::unique_ptr<Memory> memory_;
};

struct RefusedBuffer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void send_buffer(int socket, const SharedBuffer& buffer) {
  char byte = 0;  // a stream carries no descriptor without a byte to go with
  iovec data{&byte, 1};
  int descriptor = buffer.descriptor();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "sendmsg");
  }
}

inline std::optional<SharedBuffer> receive_buffer(int socket, std::size_t size) {
  if (size == 0) throw std::invalid_argument("receive_buffer: a buffer of no bytes");
  constexpr std::size_t most = 253;  // SCM_MAX_FD, which no header has
  std::vector<int> descriptors;
  descriptors.reserve(most);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(most * sizeof(int))> control;
  char byte = 0;
  iovec data{&byte, 1};
  msghdr message{};
  ssize_t count = -1;
  do {
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) throw std::system_error(errno, std::generic_category(), "recvmsg");
  if (count == 0) return std::nullopt;

  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::size_t came = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    descriptors.resize(came);
    std::memcpy(descriptors.data(), CMSG_DATA(header), came * sizeof(int));
  }
  try {
    if (descriptors.size() != 1 || (message.msg_flags & MSG_CTRUNC) != 0) {
      throw RefusedBuffer("receive_buffer: not exactly one descriptor");
    }
    int seals = ::fcntl(descriptors[0], F_GET_SEALS);
    struct stat status {};
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(descriptors[0], &status) != 0 ||
        static_cast<std::size_t>(status.st_size) < size) {
      throw RefusedBuffer("receive_buffer: not memory of this size that is sealed");
    }
    return SharedBuffer::adopt(descriptors[0], size);
  } catch (...) {
    for (int descriptor : descriptors) ::close(descriptor);
    throw;
  }
}
