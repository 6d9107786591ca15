// What only the operating system can show: permissions, symbolic links, other processes, full disks, limits and
// signals. What both implementations share is in file_system_test.cc.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "os/file_system.h"
#include "os/unique_fd.h"
#include "support/temporary_directory.h"

namespace tuskv::os {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class PosixFileSystemTest : public testing::Test {
 protected:
  FileSystem& system() { return *system_; }
  const std::string& root() const { return directory_.path(); }
  std::string path(const std::string& name) const { return directory_.path(name); }

  std::unique_ptr<File> create(const std::string& at) {
    auto file = system_->open(at, OpenMode::create);
    EXPECT_TRUE(file.ok()) << file.failure().message;
    return std::move(file).value();
  }

 private:
  test::TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> system_ = make_posix_file_system();
};

mode_t mode_of(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
  return found.st_mode & 07777;
}

/// Restores what it replaced.
class Umask final {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

class SoftLimit final {
 public:
  SoftLimit(__rlimit_resource resource, rlim_t value) : resource_(resource) {
    EXPECT_EQ(::getrlimit(resource_, &before_), 0);
    const struct rlimit limit {
      .rlim_cur = value, .rlim_max = before_.rlim_max
    };
    EXPECT_EQ(::setrlimit(resource_, &limit), 0);
  }
  ~SoftLimit() { ::setrlimit(resource_, &before_); }

 private:
  __rlimit_resource resource_;
  struct rlimit before_ {};
};

/// A child process that runs `body`, says so, and stays until killed.
class Child final {
 public:
  template <class Body>
  explicit Child(Body body) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd read_end(ends[0]);
    UniqueFd write_end(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      const char verdict = body() ? 'y' : 'n';
      static_cast<void>(!::write(write_end.get(), &verdict, 1));
      for (;;) ::pause();
    }
    write_end.reset();
    char verdict = 0;
    EXPECT_EQ(::read(read_end.get(), &verdict, 1), 1);
    EXPECT_EQ(verdict, 'y') << "the child's part failed";
  }
  ~Child() { kill(); }

  pid_t pid() const { return pid_; }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

TEST_F(PosixFileSystemTest, ModesArePrivateWhateverTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{077}, mode_t{0277}}) {
    const Umask umask(mask);
    const std::string directory = path("d" + std::to_string(mask));
    ASSERT_TRUE(system().make_directory(directory).ok());
    EXPECT_EQ(mode_of(directory), 0700U) << "umask " << mask;
    create(directory + "/file");
    EXPECT_EQ(mode_of(directory + "/file"), 0600U) << "umask " << mask;
    EXPECT_TRUE(system().lock(directory).ok());
    EXPECT_EQ(mode_of(directory + "/LOCK"), 0600U) << "umask " << mask;
  }
}

TEST_F(PosixFileSystemTest, SymbolicLinksAreNotFollowed) {
  create(path("file"));
  ASSERT_TRUE(system().make_directory(path("directory")).ok());
  std::filesystem::create_symlink(path("file"), path("to-file"));
  std::filesystem::create_symlink(path("directory"), path("to-directory"));
  std::filesystem::create_symlink(path("nowhere"), path("to-nowhere"));

  EXPECT_EQ(system().kind(path("to-file")).value(), FileKind::other);
  for (const OpenMode mode : {OpenMode::read, OpenMode::read_write}) {
    const auto refused = system().open(path("to-file"), mode);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().message, "open " + path("to-file") + ": Too many levels of symbolic links");
  }
  EXPECT_FALSE(system().open(path("to-nowhere"), OpenMode::create).ok());
  EXPECT_EQ(system().kind(path("nowhere")).value(), FileKind::missing);
  EXPECT_FALSE(system().list(path("to-directory")).ok());
  EXPECT_FALSE(system().sync_directory(path("to-directory")).ok());

  std::filesystem::create_symlink(path("file"), path("directory/LOCK"));
  EXPECT_FALSE(system().lock(path("directory")).ok());
  EXPECT_EQ(std::filesystem::file_size(path("file")), 0U) << "nothing was written through the link";

  EXPECT_TRUE(system().remove_file(path("to-file")).ok());
  EXPECT_EQ(system().kind(path("file")).value(), FileKind::file) << "only the link went";
}

TEST_F(PosixFileSystemTest, AFifoIsRefusedAndNotWaitedOn) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(system().open(path("fifo"), OpenMode::read).ok());
  EXPECT_FALSE(system().open(path("fifo"), OpenMode::read_write).ok());
}

TEST_F(PosixFileSystemTest, DescriptorsAreNotHandedToOtherPrograms) {
  const auto file = create(path("file"));
  const auto held = system().lock(root());
  ASSERT_TRUE(held.ok());
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target != root() && !target.starts_with(root() + "/")) continue;
    ++seen;
    EXPECT_NE(::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0) << target;
  }
  EXPECT_EQ(seen, 3) << "the directory, LOCK and the file";
}

TEST_F(PosixFileSystemTest, ALockHeldByAnotherProcessNamesItAndDiesWithIt) {
  std::unique_ptr<DirectoryLock> held_by_child;
  Child child([&] {
    auto lock = system().lock(root());
    if (!lock.ok()) return false;
    held_by_child = std::move(lock).value();
    return true;
  });
  const auto refused = system().lock(root());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::Busy);
  EXPECT_EQ(refused.failure().message, root() + " is open in process " + std::to_string(child.pid()));
  child.kill();
  EXPECT_EQ(system().kind(path("LOCK")).value(), FileKind::file);
  EXPECT_TRUE(system().lock(root()).ok()) << "a stale lock file does not block";
}

TEST_F(PosixFileSystemTest, ALockIsMetByAnotherPathToo) {
  const auto held = system().lock(root());
  ASSERT_TRUE(held.ok());
  const test::TemporaryDirectory elsewhere;
  std::filesystem::create_directory_symlink(root(), elsewhere.path("alias"));
  const auto refused = system().lock(elsewhere.path("alias"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::Busy);
  EXPECT_THAT(refused.failure().message, HasSubstr("is open in process " + std::to_string(::getpid())));
}

TEST_F(PosixFileSystemTest, ClosingAnotherDescriptorOfTheLockFileKeepsTheLock) {
  const auto held = system().lock(root());
  ASSERT_TRUE(held.ok());
  UniqueFd(::open(path("LOCK").c_str(), O_RDONLY | O_CLOEXEC)).reset();
  EXPECT_FALSE(system().lock(root()).ok());
}

TEST_F(PosixFileSystemTest, AForkedChildNeitherReleasesNorKeepsTheLock) {
  auto held = system().lock(root());
  ASSERT_TRUE(held.ok());
  const Child releasing([&] {
    held.value().reset();
    return true;
  });
  EXPECT_FALSE(system().lock(root()).ok()) << "the child has no right to release it";
  const Child keeping([] { return true; });
  held.value().reset();
  EXPECT_TRUE(system().lock(root()).ok()) << "a child that still has the descriptor does not hold it";
}

/// As NFS would see the lock of another machine: by the file, not by the directory.
TEST_F(PosixFileSystemTest, TheLockFileIsLockedToo) {
  const UniqueFd other(::open(path("LOCK").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::pwrite(other.get(), "4711\n", 5, 0), 5);
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  EXPECT_EQ(system().lock(root()).failure().message, root() + " is open in process 4711");
  EXPECT_EQ(system().lock_shared(root()).failure().message, root() + " is open in process 4711");
  ASSERT_EQ(::flock(other.get(), LOCK_SH), 0);
  EXPECT_EQ(system().lock(root()).failure().code, Code::Busy);
  EXPECT_TRUE(system().lock_shared(root()).ok());
}

TEST_F(PosixFileSystemTest, S36_AnotherProcessCannotLockWhereTheLockFileWasRemoved) {
  const auto held = system().lock(root());
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(system().remove_file(path("LOCK")).ok());
  const Child other([&] { return !system().lock(root()).ok(); });
}

TEST_F(PosixFileSystemTest, ALockFileThatIsNoFileIsRefused) {
  ASSERT_TRUE(system().make_directory(path("LOCK")).ok());
  const auto refused = system().lock(root());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::Io);
}

TEST_F(PosixFileSystemTest, AFullDiskIsNoSpaceAndLeavesTheFileAsItWas) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a small file system needs root";
  // A mount namespace of our own, so that the mount goes away with this process whatever happens.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", root().c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "mounting is not allowed here";

  EXPECT_LE(system().free_bytes(root()).value(), 65'536U);
  {
    const auto file = create(path("file"));
    ASSERT_TRUE(file->write_at(0, "kept").ok());
    const auto reserved = file->allocate(1'000'000);
    ASSERT_FALSE(reserved.ok());
    EXPECT_EQ(reserved.failure().code, Code::NoSpace);
    EXPECT_EQ(file->size().value(), 4U);

    const Status refused = file->write_at(4, std::string(100'000, 'x'));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().code, Code::NoSpace);
    EXPECT_EQ(refused.failure().message, "write " + path("file") + " at 65536: No space left on device");
    EXPECT_EQ(system().free_bytes(root()).value(), 0U);
    EXPECT_TRUE(system().lock(root()).ok()) << "a full disk can still be opened";
    EXPECT_TRUE(file->truncate(4).ok());
    EXPECT_TRUE(file->write_at(4, "more").ok()) << "space that came back is used";
  }
  ::umount2(root().c_str(), MNT_DETACH);
}

TEST_F(PosixFileSystemTest, S38_ADirectoryThatNobodyCanWriteIsLockedByReaders) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", root().c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "mounting is not allowed here";
  for (const bool has_lock_file : {false, true}) {
    if (has_lock_file) {
      ASSERT_TRUE(system().lock(root()).ok());
    }
    ASSERT_EQ(::mount("none", root().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k"), 0);
    EXPECT_FALSE(system().is_writable(root()).value());
    EXPECT_EQ(system().lock(root()).failure().code, Code::Io);
    EXPECT_TRUE(system().lock_shared(root()).ok());
    ASSERT_EQ(::mount("none", root().c_str(), "tmpfs", MS_REMOUNT, "size=64k"), 0);
  }
  ::umount2(root().c_str(), MNT_DETACH);
}

TEST_F(PosixFileSystemTest, AFileSizeLimitIsNoSpace) {
  const auto file = create(path("file"));
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  Status refused;
  {
    const SoftLimit limit(RLIMIT_FSIZE, 4096);
    refused = file->write_at(4000, std::string(1000, 'x'));
  }
  std::signal(SIGXFSZ, before);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::NoSpace);
  EXPECT_EQ(refused.failure().message, "write " + path("file") + " at 4096: File too large");
}

/// Unchecked, since the vptr check of the undefined behaviour sanitizer needs descriptors itself.
__attribute__((no_sanitize("vptr"))) Status open_without_descriptors(FileSystem& system, const std::string& path) {
  const SoftLimit limit(RLIMIT_NOFILE, 3);
  auto opened = system.open(path, OpenMode::read);
  return opened.ok() ? Status() : std::move(opened).status();
}

TEST_F(PosixFileSystemTest, TooManyOpenFilesIsAnError) {
  create(path("file"));
  const Status refused = open_without_descriptors(system(), path("file"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::Io);
  EXPECT_THAT(refused.failure().message, EndsWith(": Too many open files"));
}

}  // namespace
}  // namespace tuskv::os
