// Gets the memory by writing zeros into all of the segment, keeps its descriptor open, and has one small type for each
// thing that has to be given back, so that the compiler writes the moves and the destructor.

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

class SharedMemory {
 public:
  static SharedMemory create(const std::string& name, std::size_t size) {
    check(name, size);
    const int number = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (number < 0) throw_errno();
    Descriptor descriptor(number);
    Name owned(new std::string(name), Unlink{::getpid()});
    if (::fchmod(number, 0600) != 0) throw_errno();
    static constexpr std::array<char, 4096> zeros{};
    for (std::size_t written = 0; written < size;) {
      const ssize_t count = ::write(number, zeros.data(), std::min(zeros.size(), size - written));
      if (count < 0 && errno != EINTR) throw_errno();
      if (count > 0) written += static_cast<std::size_t>(count);
    }
    return SharedMemory(std::move(owned), std::move(descriptor), size);
  }

  static SharedMemory attach(const std::string& name, std::size_t size) {
    check(name, size);
    const int number = ::shm_open(name.c_str(), O_RDWR, 0);
    if (number < 0) throw_errno();
    Descriptor descriptor(number);
    const off_t end = ::lseek(number, 0, SEEK_END);
    if (end < 0) throw_errno();
    if (static_cast<std::size_t>(end) < size) throw std::length_error("the segment is smaller");
    return SharedMemory(Name(nullptr, Unlink{0}), std::move(descriptor), size);
  }

  SharedMemory(SharedMemory&&) noexcept = default;
  SharedMemory& operator=(SharedMemory&&) noexcept = default;
  ~SharedMemory() = default;

  void unlink() noexcept { name_.reset(); }

  std::byte* data() const noexcept { return memory_.get(); }
  std::size_t size() const noexcept { return memory_.get_deleter().size; }

 private:
  struct Unlink {
    pid_t creator;
    void operator()(std::string* name) const noexcept {
      if (creator == ::getpid()) ::shm_unlink(name->c_str());
      delete name;
    }
  };
  struct Unmap {
    std::size_t size;
    void operator()(std::byte* address) const noexcept { ::munmap(address, size); }
  };
  class Descriptor {
   public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
      std::swap(number_, other.number_);
      return *this;
    }
    ~Descriptor() {
      if (number_ >= 0) ::close(number_);
    }
    int number() const { return number_; }

   private:
    int number_;
  };
  using Name = std::unique_ptr<std::string, Unlink>;

  SharedMemory(Name name, Descriptor descriptor, std::size_t size)
      : name_(std::move(name)), descriptor_(std::move(descriptor)), memory_(nullptr, Unmap{size}) {
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.number(), 0);
    if (address == MAP_FAILED) throw_errno();
    memory_.reset(static_cast<std::byte*>(address));
  }

  [[noreturn]] static void throw_errno() { throw std::system_error(errno, std::generic_category(), "SharedMemory"); }

  static void check(std::string_view name, std::size_t size) {
    using namespace std::literals;
    if (size == 0 || !name.starts_with('/') || name.size() == 1 ||
        name.find_first_of("/\0"sv, 1) != std::string_view::npos) {
      throw std::invalid_argument("SharedMemory");
    }
  }

  Name name_;
  Descriptor descriptor_;
  std::unique_ptr<std::byte, Unmap> memory_;
};
