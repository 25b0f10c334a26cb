// Takes over what the other object has and has forgotten by then what it had itself: the first segment stays mapped
// and named, and there is nobody left who knows of it.
// caught: plain, SharedMemory.GivesBackWhatItHadWhenItIsAssignedTo, leak

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

class SharedMemory {
 public:
  static SharedMemory create(const std::string& name, std::size_t size) {
    check(name, size);
    const Descriptor segment(::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR));
    // From here on the name is ours, and the destructor of `memory` takes it away whatever is thrown.
    SharedMemory memory;
    memory.name_ = name;
    memory.creator_ = ::getpid();
    // The umask may have taken away more than it should.
    if (::fchmod(segment.number, S_IRUSR | S_IWUSR) != 0) fail(errno, "fchmod");
    // ftruncate would give a size without memory; this gives the memory, and returns its error.
    int error;
    do {
      error = ::posix_fallocate(segment.number, 0, static_cast<off_t>(size));
    } while (error == EINTR);
    if (error != 0) fail(error, "posix_fallocate");
    memory.map(segment, size);
    return memory;
  }

  static SharedMemory attach(const std::string& name, std::size_t size) {
    check(name, size);
    const Descriptor segment(::shm_open(name.c_str(), O_RDWR, 0));
    struct stat status {};
    if (::fstat(segment.number, &status) != 0) fail(errno, "fstat");
    if (static_cast<std::size_t>(status.st_size) < size) throw std::length_error("SharedMemory: segment is smaller");
    SharedMemory memory;
    memory.map(segment, size);
    return memory;
  }

  SharedMemory(SharedMemory&& other) noexcept { swap(other); }
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    creator_ = std::exchange(other.creator_, 0);
    name_ = std::move(other.name_);
    return *this;
  }

  ~SharedMemory() {
    if (data_ != nullptr) ::munmap(data_, size_);
    unlink();
  }

  void unlink() noexcept {
    // After a fork there are two of this object, and only one is the creator's.
    if (std::exchange(creator_, 0) == ::getpid()) ::shm_unlink(name_.c_str());
  }

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  struct Descriptor {
    explicit Descriptor(int opened) : number(opened) {
      if (number < 0) fail(errno, "shm_open");
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { ::close(number); }
    const int number;
  };

  SharedMemory() = default;

  [[noreturn]] static void fail(int error, const char* what) {
    throw std::system_error(error, std::generic_category(), what);
  }

  static void check(const std::string& name, std::size_t size) {
    // shm_open takes more slashes, or none, and its C string ends at the first NUL.
    if (name.size() < 2 || name[0] != '/' || name.find('/', 1) != std::string::npos ||
        name.find('\0') != std::string::npos) {
      throw std::invalid_argument("SharedMemory: the name must be a slash and characters that are none");
    }
    if (size == 0) throw std::invalid_argument("SharedMemory: a size of 0");
  }

  void map(const Descriptor& segment, std::size_t size) {
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, segment.number, 0);
    if (address == MAP_FAILED) fail(errno, "mmap");
    data_ = static_cast<std::byte*>(address);
    size_ = size;
  }

  void swap(SharedMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(creator_, other.creator_);
    name_.swap(other.name_);
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::string name_;
  pid_t creator_ = 0;  // the process that has to take the name away; 0 if nobody has, or it has been done
};
