#include "exercise/test.hpp"

#include <sys/mount.h>

#include <given/resource_limit.hpp>
#include <shared_memory.hpp>

using interleave::FailureKind;

// The class under test. `SharedMemory` is the suite here.
using Segment = ::SharedMemory;

namespace test {

// The names carry the number of the test's process, so that two runs never meet. Whatever is left under one of them
// after a test is a leak, and is taken away.
class SharedMemory : public testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& name : {name_, other_name_}) {
      EXPECT_FALSE(exists(name)) << FailureKind::leak << "the segment " << name << " is left after the test";
      ::shm_unlink(name.c_str());
    }
  }

  static bool exists(const std::string& name) { return ::access(("/dev/shm" + name).c_str(), F_OK) == 0; }

  static struct stat status_of(const std::string& name) {
    struct stat status {};
    ::stat(("/dev/shm" + name).c_str(), &status);
    return status;
  }

  // Makes a segment, or changes one, as a process would that knows nothing of the class.
  static void make_by_hand(const std::string& name, std::size_t size, std::string_view text = "") {
    const int descriptor = ::shm_open(name.c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_GE(descriptor, 0);
    EXPECT_EQ(::ftruncate(descriptor, static_cast<off_t>(size)), 0);
    EXPECT_EQ(::pwrite(descriptor, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ::close(descriptor);
  }

  // The bytes of this process's address space that are mapped from the segment, whether it still has its name or not.
  static std::size_t mapped(const std::string& name) {
    std::ifstream maps("/proc/self/maps");
    std::size_t bytes = 0;
    for (std::string line; std::getline(maps, line);) {
      if (line.find("/dev/shm" + name) == std::string::npos) continue;
      const std::size_t dash = line.find('-');
      bytes += std::stoull(line.substr(dash + 1), nullptr, 16) - std::stoull(line.substr(0, dash), nullptr, 16);
    }
    return bytes;
  }

  // The error that a call throws as std::system_error; 0 if it returns.
  static int error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const std::system_error& error) {
      return error.code().value();
    }
    return 0;
  }

  static int error_of_create(const std::string& name, std::size_t size) {
    return error_of([&] { Segment segment = Segment::create(name, size); });
  }
  static int error_of_attach(const std::string& name, std::size_t size) {
    return error_of([&] { Segment segment = Segment::attach(name, size); });
  }

  static bool is_too_small(const std::string& name, std::size_t size) {
    try {
      Segment segment = Segment::attach(name, size);
    } catch (const std::length_error&) {
      return true;
    }
    return false;
  }

  // Runs in a child process, which has a copy of everything, and returns the status that it ends with.
  static int in_child(const std::function<int()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        ::_exit(work());
      } catch (const std::exception& error) {
        std::fprintf(stderr, "in the child process: %s\n", error.what());
        ::_exit(254);
      }
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // In a child: a /dev/shm of its own with 64 KiB. False if this machine does not let it have one.
  static bool have_a_small_dev_shm() {
    const std::string user = std::to_string(::getuid()), group = std::to_string(::getgid());
    if (::unshare(CLONE_NEWNS) != 0) {
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
      std::ofstream("/proc/self/uid_map") << user + " " + user + " 1";
      std::ofstream("/proc/self/setgroups") << "deny";
      std::ofstream("/proc/self/gid_map") << group + " " + group + " 1";
    }
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    if (::mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k,mode=1777") != 0) return false;
    return std::ofstream("/dev/shm/probe").is_open() && ::unlink("/dev/shm/probe") == 0;
  }

  const std::size_t page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::string name_ = "/interleave-" + std::to_string(::getpid()) + "-one";
  const std::string other_name_ = "/interleave-" + std::to_string(::getpid()) + "-other";
};

constexpr std::size_t mebibyte = std::size_t{1} << 20;

TEST_F(SharedMemory, TakesTheNameAwayWithItsCreator) {
  { Segment segment = Segment::create(name_, 1000); }
  EXPECT_FALSE(exists(name_)) << FailureKind::leak << "the object that made " << name_ << " is destroyed";
}

TEST_F(SharedMemory, UnmapsTheMemory) {
  { Segment segment = Segment::create(name_, 10 * page_); }
  EXPECT_EQ(mapped(name_), 0U) << FailureKind::leak << "bytes still mapped: the object is destroyed";
}

TEST_F(SharedMemory, IsSharedByTheProcessesThatKnowTheName) {
  Segment segment = Segment::create(name_, 1000);
  EXPECT_EQ(segment.size(), 1000U) << "the size that was asked for";
  segment.data()[999] = std::byte{1};
  const int seen = in_child([&] {
    Segment attached = Segment::attach(name_, 1000);
    const int there = std::to_integer<int>(attached.data()[999]);
    attached.data()[0] = std::byte{2};
    return there;
  });
  EXPECT_EQ(seen, 1)
      << "what another process, which attached the segment, found at byte 999 (139: SIGSEGV, 254: an exception)";
  EXPECT_EQ(segment.data()[0], std::byte{2}) << "what the other process has written into byte 0";
}

TEST_F(SharedMemory, LeavesTheNameAloneIfItWasAttached) {
  Segment segment = Segment::create(name_, 1000);
  {
    Segment attached = Segment::attach(name_, 1000);
    attached.unlink();
    EXPECT_TRUE(exists(name_)) << "unlink() of an object that came from attach()";
  }
  EXPECT_TRUE(exists(name_)) << "an object that came from attach() is destroyed; the creator has its own still";
}

TEST_F(SharedMemory, DoesNotTakeASegmentThatExists) {
  make_by_hand(name_, 1000, "theirs");
  EXPECT_EQ(error_of_create(name_, 2000), EEXIST) << "create() for a name that is taken";
  EXPECT_TRUE(exists(name_)) << "the name was taken before create(), so it is not create()'s to take away";
  EXPECT_EQ(status_of(name_).st_size, 1000) << "bytes in the segment of somebody else";
  ::shm_unlink(name_.c_str());
}

TEST_F(SharedMemory, IsForItsOwnerAlone) {
  for (mode_t mask : {0000, 0777}) {
    const mode_t before = ::umask(mask);
    const int error = error_of([&] {
      Segment segment = Segment::create(name_, 1000);
      EXPECT_EQ(status_of(name_).st_mode & 0777, 0600U) << "permissions with a umask of " << mask;
    });
    ::umask(before);
    EXPECT_EQ(error, 0) << "create() with a umask of " << mask;
  }
}

TEST_F(SharedMemory, HasItsMemoryFromTheStart) {
  Segment segment = Segment::create(name_, mebibyte);
  EXPECT_GE(status_of(name_).st_blocks * 512, 1 << 20)
      << "bytes of memory behind a segment of 1 MiB; without them the first access can be a SIGBUS";
}

TEST_F(SharedMemory, LeavesNothingWhenTheSizeCannotBeHad) {
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  int error = 0;
  {
    ResourceLimit small_files(RLIMIT_FSIZE, 65536);
    error = error_of_create(name_, mebibyte);
  }
  ::signal(SIGXFSZ, before);
  EXPECT_EQ(error, EFBIG) << "create() of 1 MiB where no file may be larger than 64 KiB (setrlimit(2))";
  EXPECT_FALSE(exists(name_)) << FailureKind::leak << "create() threw and has left " << name_;

  enum { is_full, no_error, another_error, left_its_name, cannot_be_tried };
  const int status = in_child([&] {
    if (!have_a_small_dev_shm()) return static_cast<int>(cannot_be_tried);
    const int error = error_of_create(name_, mebibyte);
    if (error == ENOSPC) return static_cast<int>(exists(name_) ? left_its_name : is_full);
    return static_cast<int>(error == 0 ? no_error : another_error);
  });
  if (status == cannot_be_tried) {
    std::printf("not tried: a full /dev/shm. This machine lets no process mount a small one of its own.\n");
  } else {
    EXPECT_EQ(status, is_full) << "create() of 1 MiB where /dev/shm has 64 KiB; 0: ENOSPC and no name is left, 1: no "
                                  "exception, 2: another error, 3: the name is left, 135: SIGBUS";
  }
}

TEST_F(SharedMemory, LeavesNothingWhenItCannotBeMapped) {
  constexpr std::size_t size = 16 * mebibyte;
  make_by_hand(other_name_, size);
  int of_create = 0, of_attach = 0;
  {
    ResourceLimit little_room(RLIMIT_AS, address_space_and(size / 4));
    of_create = error_of_create(name_, size);
    of_attach = error_of_attach(other_name_, size);
  }
  EXPECT_EQ(of_create, ENOMEM) << "create() of 16 MiB in a process with no room for them (mmap(2))";
  EXPECT_FALSE(exists(name_)) << FailureKind::leak << "create() threw and has left " << name_;
  EXPECT_EQ(of_attach, ENOMEM) << "attach() of 16 MiB in a process with no room for them (mmap(2))";
  EXPECT_TRUE(exists(other_name_)) << "attach() threw and has taken away the name of somebody else's segment";
  ::shm_unlink(other_name_.c_str());
}

TEST_F(SharedMemory, DoesNotMapMoreThanThereIs) {
  make_by_hand(name_, 100);
  EXPECT_EQ(error_of([&] { EXPECT_EQ(Segment::attach(name_, 50).size(), 50U); }), 0) << "50 bytes of 100";
  EXPECT_FALSE(is_too_small(name_, 100)) << "100 bytes of 100";
  EXPECT_TRUE(is_too_small(name_, 101)) << "101 bytes of 100, though on the same page";
  EXPECT_TRUE(is_too_small(name_, page_ + 1)) << "more than a page of 100 bytes";
  EXPECT_EQ(mapped(name_), 0U) << FailureKind::leak << "bytes that are still mapped after attach() threw";
  EXPECT_TRUE(is_too_small(name_, std::numeric_limits<std::size_t>::max())) << "2^64 - 1 bytes of 100";
  make_by_hand(name_, 3 * page_);
  EXPECT_FALSE(is_too_small(name_, 3 * page_)) << "3 pages of a segment that somebody has grown to 3 pages";
  make_by_hand(name_, page_);
  EXPECT_TRUE(is_too_small(name_, 3 * page_)) << "3 pages of a segment that somebody has shrunk to one page";
  make_by_hand(name_, 0);
  EXPECT_TRUE(is_too_small(name_, 1)) << "a segment whose creator has given it no size yet";
  ::shm_unlink(name_.c_str());
}

TEST_F(SharedMemory, SaysWhyItCannotAttach) {
  EXPECT_EQ(error_of_attach(name_, 1000), ENOENT) << "attach() of a segment that does not exist";
  EXPECT_FALSE(exists(name_)) << "attach() has made the segment that it was to find";
  make_by_hand(name_, 1000);
  // Root may open everything, and so becomes somebody else for this. Anybody else shuts himself out.
  if (::geteuid() != 0) ::chmod(("/dev/shm" + name_).c_str(), 0);
  constexpr int cannot_be_tried = 255;
  const int error = in_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return cannot_be_tried;
    return error_of_attach(name_, 1000);
  });
  if (error == cannot_be_tried) {
    std::printf("not tried: somebody else's segment. This machine lets root be root only.\n");
  } else {
    EXPECT_EQ(error, EACCES) << "attach() of a segment that this user may not open";
  }
  ::shm_unlink(name_.c_str());
}

TEST_F(SharedMemory, RefusesOtherNamesAndASizeOfZero) {
  const std::string bare = name_.substr(1);
  for (const std::string& name : {std::string(), std::string("/"), bare, "/" + name_, name_ + "/other", name_ + "/",
                                  name_ + std::string("\0other", 6)}) {
    EXPECT_THROW(Segment::create(name, 1000), std::invalid_argument) << "create() for the name '" << name << "'";
    EXPECT_THROW(Segment::attach(name, 1000), std::invalid_argument) << "attach() for the name '" << name << "'";
  }
  EXPECT_THROW(Segment::create(name_, 0), std::invalid_argument) << "create() with a size of 0";
  make_by_hand(name_, 1000);
  EXPECT_THROW(Segment::attach(name_, 0), std::invalid_argument) << "attach() with a size of 0";
  ::shm_unlink(name_.c_str());
}

TEST_F(SharedMemory, MovesWithItsMemoryAndItsName) {
  auto first = std::make_unique<Segment>(Segment::create(name_, page_));
  std::byte* const data = first->data();
  {
    Segment second = std::move(*first);
    first.reset();
    EXPECT_EQ(mapped(name_), page_)
        << "bytes mapped: the memory has moved, and the object that it moved from is destroyed";
    EXPECT_TRUE(exists(name_)) << "the name has moved, and the object that it moved from is destroyed";
    EXPECT_EQ(second.data(), data) << "the memory is where it was";
    EXPECT_EQ(second.size(), page_) << "the size is what it was";
  }
  EXPECT_EQ(mapped(name_), 0U) << FailureKind::leak << "bytes still mapped: the object that had them is destroyed";
  EXPECT_FALSE(exists(name_)) << FailureKind::leak << "the object that had the duty to take the name away is destroyed";
}

TEST_F(SharedMemory, GivesBackWhatItHadWhenItIsAssignedTo) {
  Segment segment = Segment::create(name_, page_);
  segment = Segment::create(other_name_, 2 * page_);
  EXPECT_EQ(mapped(name_), 0U) << FailureKind::leak << "bytes of the first segment that are still mapped";
  EXPECT_FALSE(exists(name_)) << FailureKind::leak << "the name of the first segment is still there";
  EXPECT_EQ(mapped(other_name_), 2 * page_) << "bytes of the second segment that are mapped";
  EXPECT_TRUE(exists(other_name_)) << "the name of the second segment";
  EXPECT_EQ(segment.size(), 2 * page_) << "the size of the second segment";
  Segment other = std::move(segment);
  segment = Segment::create(name_, page_);
  EXPECT_EQ(mapped(name_), page_) << "bytes of a segment that are mapped, assigned to an object that was moved from";
  EXPECT_EQ(mapped(other_name_), 2 * page_) << "bytes of the second segment that are mapped: it had been moved away";
}

TEST_F(SharedMemory, TakesTheNameAwayOnce) {
  {
    Segment segment = Segment::create(name_, 1000);
    segment.data()[0] = std::byte{1};
    segment.unlink();
    EXPECT_FALSE(exists(name_)) << "unlink() takes the name away at once";
    EXPECT_EQ(mapped(name_), page_) << "bytes mapped: unlink() leaves the memory where it is";
    make_by_hand(name_, 1000);
    segment.unlink();
    EXPECT_TRUE(exists(name_)) << "the name is somebody else's when unlink() is called again";
    ::shm_unlink(name_.c_str());
    make_by_hand(name_, 1000);
  }
  EXPECT_TRUE(exists(name_))
      << "the name is somebody else's when the object is destroyed that had taken it away before";
  ::shm_unlink(name_.c_str());
}

TEST_F(SharedMemory, LeavesTheNameAloneInAForkedProcess) {
  Segment segment = Segment::create(name_, 1000);
  const int status = in_child([&] {
    segment.unlink();
    const int after_unlink = exists(name_) ? 0 : 1;
    { Segment copy = std::move(segment); }
    return after_unlink + (exists(name_) ? 0 : 2);
  });
  EXPECT_EQ(status, 0) << "who took the name away in a child that has a copy of the creator's object by fork(2): 1: "
                          "unlink(), 2: the destructor, 3: both";
}

}  // namespace test
