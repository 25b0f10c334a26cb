// Sends the descriptor alone, for there is nothing else to say: on a stream socket a message of no bytes is no message,
// sendmsg(2) returns 0, and nothing has been sent.
// caught: plain, SendBuffer.SendsOneByteWithTheDescriptorBesideIt, wrong answer

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
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

class SharedBuffer {
 public:
  explicit SharedBuffer(std::size_t size) {
    if (size == 0) throw std::invalid_argument("SharedBuffer: a buffer of no bytes");
    descriptor_ = Descriptor(::memfd_create("shared-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (descriptor_.get() < 0) throw_errno("memfd_create");
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0) throw_errno("ftruncate");
    if (::fcntl(descriptor_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) throw_errno("F_ADD_SEALS");
    map(size);
  }

  SharedBuffer(Descriptor descriptor, std::size_t size) : descriptor_(std::move(descriptor)) { map(size); }

  SharedBuffer(SharedBuffer&& other) noexcept
      : descriptor_(std::move(other.descriptor_)), bytes_(std::exchange(other.bytes_, {})) {}
  SharedBuffer& operator=(SharedBuffer&& other) noexcept {
    SharedBuffer old(std::move(*this));  // what was here goes, whoever `other` is
    descriptor_ = std::move(other.descriptor_);
    bytes_ = std::exchange(other.bytes_, {});
    return *this;
  }
  ~SharedBuffer() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
  }

  std::span<std::byte> bytes() const { return bytes_; }

  int descriptor() const { return descriptor_.get(); }

  [[noreturn]] static void throw_errno(const char* call) {
    throw std::system_error(errno, std::generic_category(), call);
  }

 private:
  void map(std::size_t size) {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
    if (memory == MAP_FAILED) throw_errno("mmap");
    bytes_ = {static_cast<std::byte*>(memory), size};
  }

  Descriptor descriptor_;
  std::span<std::byte> bytes_;
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
  message.msg_iovlen = 0;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) SharedBuffer::throw_errno("sendmsg");
  }
}

inline std::optional<SharedBuffer> receive_buffer(int socket, std::size_t size) {
  if (size == 0) throw std::invalid_argument("receive_buffer: a buffer of no bytes");

  char byte = 0;
  iovec data{&byte, 1};
  // Credentials come before the descriptor. The kernel fills what room there is, padding too: two descriptors fit where
  // one was meant.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))> control;
  std::vector<Descriptor> received;
  received.reserve(control.size() / sizeof(int));  // from here on nothing may fail before they have an owner
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = 0;
  while ((count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) SharedBuffer::throw_errno("recvmsg");
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
      int descriptor;
      std::memcpy(&descriptor, reinterpret_cast<const char*>(header) + at, sizeof(int));
      received.emplace_back(descriptor);
    }
  }
  if (count == 0) return std::nullopt;

  if ((message.msg_flags & MSG_CTRUNC) != 0) throw RefusedBuffer("receive_buffer: descriptors were lost on the way");
  if (received.size() != 1) {
    throw RefusedBuffer("receive_buffer: " + std::to_string(received.size()) + " descriptors came, not one");
  }
  // The seal first: memory that cannot shrink still has tomorrow the size that it has now.
  int seals = ::fcntl(received[0].get(), F_GET_SEALS);  // fails for what cannot be sealed, as a file or a pipe
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    throw RefusedBuffer("receive_buffer: the descriptor is not of memory that cannot shrink");
  }
  struct stat status {};
  if (::fstat(received[0].get(), &status) != 0) SharedBuffer::throw_errno("fstat");
  if (static_cast<std::size_t>(status.st_size) < size) {
    throw RefusedBuffer("receive_buffer: " + std::to_string(status.st_size) + " bytes, not " + std::to_string(size));
  }
  return SharedBuffer(std::move(received[0]), size);
}
