#pragma once

// 5.2 shared-memory: memory with a name, which any process of the same user can map, and an owner who takes the name
// away again.
//
// Python's `multiprocessing.shared_memory.SharedMemory(name, create, size)`, where `unlink()` is left to the caller.

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "exercise/not_done.hpp"

/// A mapped shared memory segment (shm_overview(7)). What one object writes, every other object of the same segment
/// sees, in whatever process it is.
///
/// A name is a slash followed by one or more characters, none of which is a slash or NUL. create() and attach() throw
/// std::invalid_argument for any other name and for a size of 0, and std::system_error with the error of the operating
/// system if it refuses: EEXIST if the name is taken, ENOENT if there is none, EACCES if the segment is somebody
/// else's.
///
/// Whatever create() or attach() throws, it leaves no mapping and no open descriptor, and each name as it was: the new
/// one is gone, and one that was there before stays.
///
/// One object is used by one thread at a time.
class SharedMemory {
 public:
  /// Makes a new segment of `size` bytes and maps it. Its permissions are 0600, whatever the umask: for its owner
  /// alone.
  ///
  /// The memory is there when create() returns: if it cannot be had, because /dev/shm is full (ENOSPC) or files may not
  /// become that large (EFBIG, with SIGXFSZ ignored), create() throws, and nobody dies of SIGBUS at the first access.
  static SharedMemory create(const std::string& name, std::size_t size) {
    (void)name, (void)size;  // take this line out once you use them
    interleave::not_done();
  }

  /// Maps the first `size` bytes of a segment that exists, for reading and writing. If it has fewer at this moment,
  /// throws std::length_error: an access beyond its end would be a SIGBUS.
  static SharedMemory attach(const std::string& name, std::size_t size) {
    (void)name, (void)size;  // take this line out once you use them
    interleave::not_done();
  }

  /// The memory, with the duty of the creator if the other object had it, is this object's now. What this one had
  /// before an assignment, it gives back as the destructor does. The other may be destroyed or assigned to.
  SharedMemory(SharedMemory&& other) noexcept {
    (void)other;  // take this line out once you use it
    interleave::not_done();
  }
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    (void)other;  // take this line out once you use it
    interleave::not_done();
  }

  /// Unmaps the memory and, if this object came from create(), takes the name away, as unlink() does.
  ~SharedMemory() { interleave::not_done(); }

  /// Takes the name away at once, if this object came from create(). The memory stays for those who have mapped it, but
  /// nobody can attach any more. Once for each segment: by the time of a second call, or of the destructor, the name
  /// may be somebody else's, and they leave it alone.
  ///
  /// An object that came from attach() never takes a name away, nor does the copy of an object that a process has from
  /// its parent by fork(2).
  void unlink() noexcept { interleave::not_done(); }

  /// The first byte, and the size that was asked for.
  std::byte* data() const noexcept { interleave::not_done(); }
  std::size_t size() const noexcept { interleave::not_done(); }
};
