#pragma once

// 5.6 pass-descriptor: hand shared memory that has no name to another process, through a Unix socket.
//
// Python's `os.memfd_create()` with `mmap`, and `socket.send_fds()` and `socket.recv_fds()`, by hand.
//
// On the socket, which is a blocking stream socket, a buffer is one byte, whatever its value, with one descriptor
// beside it (SCM_RIGHTS, unix(7)). A signal handler that runs while a call waits (without SA_RESTART, too) changes
// nothing.

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

/// Owns a descriptor.
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

/// Memory that processes share: it is there as long as one of them has it. Owns its descriptor and its mapping, and
/// gives both back. Movable: what it was moved from owns nothing any more.
class SharedBuffer {
 public:
  /// Makes memory of `size` bytes, all zero (memfd_create(2)), that nobody can make shorter or longer any more: it is
  /// sealed (fcntl(2), F_ADD_SEALS). Size 0 throws std::invalid_argument. If the system does not give it, throws
  /// std::system_error and leaves nothing behind.
  explicit SharedBuffer(std::size_t size) {
    if (size == 0) throw std::invalid_argument("SharedBuffer: a buffer of no bytes");
    descriptor_ = Descriptor(::memfd_create("shared-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (descriptor_.get() < 0) throw_errno("memfd_create");
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0) throw_errno("ftruncate");
    if (::fcntl(descriptor_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) throw_errno("F_ADD_SEALS");
    map(size);
  }

  /// The first `size` bytes of memory that is known to have as many.
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

  /// The memory, to read and to write. What one process writes, the others see.
  std::span<std::byte> bytes() const { return bytes_; }

  /// The descriptor, close-on-exec from the moment it is open: another thread may execute a program at any time.
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

/// What came through the socket is no buffer, or not the one that was asked for.
struct RefusedBuffer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Sends the buffer to whoever has the other end of `socket`. The buffer may go afterwards: what was sent keeps the
/// memory.
///
/// Throws std::system_error with the error of sendmsg(2): EPIPE if the other end is closed; SIGPIPE does not come then.
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
    if (errno != EINTR) SharedBuffer::throw_errno("sendmsg");
  }
}

/// Waits for a buffer of at least `size` bytes and returns its first `size` bytes: those, and no more, are bytes() of
/// the result. Nothing if the other end is closed instead. Of the bytes on the socket it takes one.
///
/// The peer is not trusted. Throws RefusedBuffer
/// - if no descriptor came with the byte, or more than one, or if some were lost on the way (MSG_CTRUNC);
/// - if the descriptor is something else than memory that is sealed against shrinking: everybody who has unsealed
/// memory
///   can cut it off later, and a process that then touches it is ended by SIGBUS;
/// - if the memory is smaller than `size`.
/// Throws std::invalid_argument if `size` is 0, before it reads anything, and std::system_error with the error of a
/// call that failed: of recvmsg(2), or of mmap(2) if the memory cannot be mapped for reading and writing.
///
/// Every descriptor that came is close-on-exec from the moment it is there. Whenever this throws, all of them are
/// closed, however many there are. Control messages of other kinds, as the credentials that come if the caller has set
/// SO_PASSCRED, are passed over.
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
