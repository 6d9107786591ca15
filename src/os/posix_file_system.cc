// The operating system's files, through Linux system calls. What each call promises stands in os/file_system.h.
//
// Nothing here follows a symbolic link in the last component, waits on a FIFO, hands a descriptor to a child program,
// or leaves a file readable by others: whoever can write to the parent directory must not be able to lead the store
// elsewhere.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "os/file_system.h"
#include "os/system_status.h"
#include "os/unique_fd.h"

namespace tuskv::os {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kPermissionBits = 0777;
constexpr const char* kLockName = "LOCK";
constexpr std::size_t kMaxPidText = 32;

template <class Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

UniqueFd open_descriptor(const std::string& path, int flags) {
  return UniqueFd(
      retry_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, kFileMode); }));
}

/// 0, or the errno that says why an opened descriptor is not a regular file.
int require_regular(int descriptor) {
  struct stat found {};
  if (::fstat(descriptor, &found) != 0) return errno;
  if (S_ISREG(found.st_mode)) return 0;
  return S_ISDIR(found.st_mode) ? EISDIR : EINVAL;
}

/// The umask may have taken bits from the owner too. Left alone when right, since some file systems refuse every chmod.
int require_file_mode(int descriptor) {
  struct stat found {};
  if (::fstat(descriptor, &found) != 0) return errno;
  if ((found.st_mode & kPermissionBits) == kFileMode) return 0;
  return ::fchmod(descriptor, kFileMode) == 0 ? 0 : errno;
}

int require_directory_mode(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return errno;
  if ((found.st_mode & kPermissionBits) == kDirectoryMode) return 0;
  const mode_t mode = kDirectoryMode | (found.st_mode & S_ISGID);
  return ::fchmodat(AT_FDCWD, path.c_str(), mode, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

FileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::file;
  return S_ISDIR(mode) ? FileKind::directory : FileKind::other;
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, UniqueFd descriptor) : File(std::move(path)), descriptor_(std::move(descriptor)) {}

  Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t size) const override {
    std::size_t done = 0;
    while (done < size) {
      const auto place = static_cast<off_t>(offset + done);
      const ssize_t got =
          retry_interrupted([&] { return ::pread(descriptor_.get(), buffer + done, size - done, place); });
      if (got < 0) return failed(errno, "read", offset + done);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto place = static_cast<off_t>(offset + done);
      const ssize_t put = retry_interrupted(
          [&] { return ::pwrite(descriptor_.get(), bytes.data() + done, bytes.size() - done, place); });
      // Zero is no error by POSIX, yet trying again could go on for ever.
      if (put <= 0) return failed(put == 0 ? EIO : errno, "write", offset + done);
      done += static_cast<std::size_t>(put);
    }
    return {};
  }

  Status sync() override {
    if (retry_interrupted([&] { return ::fdatasync(descriptor_.get()); }) != 0) return failed(errno, "sync");
    return {};
  }

  Result<bool> allocate(std::uint64_t size) override {
    struct stat before {};
    if (::fstat(descriptor_.get(), &before) != 0) return failed(errno, "allocate", size);
    if (size == 0) return true;
    const auto length = static_cast<off_t>(size);
    if (retry_interrupted([&] { return ::fallocate(descriptor_.get(), 0, 0, length); }) == 0) return true;
    const int error = errno;
    if (error == EOPNOTSUPP || error == ENOSYS) return false;
    // ext4 keeps what it reserved before the disk was full, and the grown size with it: give both back. Nothing more
    // can be done when that fails too, and the caller learns of the first failure anyway.
    [[maybe_unused]] const int given_back =
        retry_interrupted([&] { return ::ftruncate(descriptor_.get(), before.st_size); });
    return failed(error, "allocate", size);
  }

  Status truncate(std::uint64_t size) override {
    const auto length = static_cast<off_t>(size);
    if (retry_interrupted([&] { return ::ftruncate(descriptor_.get(), length); }) != 0)
      return failed(errno, "truncate", size);
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat found {};
    if (::fstat(descriptor_.get(), &found) != 0) return failed(errno, "examine");
    return static_cast<std::uint64_t>(found.st_size);
  }

  void drop_cached_pages() override { ::posix_fadvise(descriptor_.get(), 0, 0, POSIX_FADV_DONTNEED); }

 private:
  Status failed(int error, std::string_view operation, std::optional<std::uint64_t> offset = std::nullopt) const {
    return system_status(error, {.operation = operation, .path = path(), .offset = offset});
  }

  UniqueFd descriptor_;
};

/// An flock belongs to the open file description: a second opener in this process conflicts like any other, and closing
/// another descriptor of the file does not drop it (both unlike fcntl record locks).
///
/// Locked are the directory itself, whose lock nobody can remove, and the file LOCK in it, for the sake of network file
/// systems: NFS knows no locks of directories, so there the first one is seen by this machine alone.
class PosixDirectoryLock final : public DirectoryLock {
 public:
  explicit PosixDirectoryLock(UniqueFd directory) : directory_(std::move(directory)) {}
  const UniqueFd& directory() const { return directory_; }
  /// LOCK; invalid where there is none that could be opened for reading.
  const UniqueFd& file() const { return file_; }
  void set_file(UniqueFd file) { file_ = std::move(file); }

  /// Unlocks by word rather than by closing, since a child forked meanwhile shares the description and would keep it
  /// locked; that child in turn must not unlock what its parent holds.
  ~PosixDirectoryLock() override {
    if (::getpid() != owner_) return;
    if (file_.valid()) ::flock(file_.get(), LOCK_UN);
    ::flock(directory_.get(), LOCK_UN);
  }

 private:
  UniqueFd directory_;
  UniqueFd file_;
  pid_t owner_ = ::getpid();
};

/// 0, or the errno that says why it cannot be had at once.
int take_lock(const UniqueFd& descriptor, int kind) {
  const bool taken = retry_interrupted([&] { return ::flock(descriptor.get(), kind | LOCK_NB); }) == 0;
  return taken ? 0 : errno;
}

/// The pid in a lock file, or 0 when there is none to read.
pid_t read_pid(int descriptor) {
  char text[kMaxPidText] = {};
  const ssize_t got = retry_interrupted([&] { return ::pread(descriptor, text, sizeof text, 0); });
  pid_t pid = 0;
  if (got <= 0 || std::from_chars(text, text + got, pid).ec != std::errc()) return 0;
  return std::max<pid_t>(pid, 0);
}

/// For people and for messages only, so a full disk does not keep the store from opening. Written over the old text
/// before cutting: then a block that is there already serves.
void write_pid(int descriptor) {
  const std::string text = std::to_string(::getpid()) + "\n";
  const ssize_t put = retry_interrupted([&] { return ::pwrite(descriptor, text.data(), text.size(), 0); });
  const off_t kept = std::max<off_t>(put, 0);
  [[maybe_unused]] const int cut = retry_interrupted([&] { return ::ftruncate(descriptor, kept); });
}

/// Why `refused`, a descriptor of the lock that the caller is about to give up, could not be locked.
Status busy(const std::string& directory, const UniqueFd& refused) {
  // Readers write down no pid: what stands there is of somebody who has gone.
  if (take_lock(refused, LOCK_SH) == 0) return Status(Code::Busy, directory + " is being read, such as by tuskv check");
  const UniqueFd file = open_descriptor(directory + "/" + kLockName, O_RDONLY | O_NONBLOCK);
  const pid_t holder = file.valid() ? read_pid(file.get()) : 0;
  if (holder == 0) return Status(Code::Busy, directory + " is open, and its LOCK does not say in which process");
  const char* self = holder == ::getpid() ? " (this one)" : "";
  return Status(Code::Busy, directory + " is open in process " + std::to_string(holder) + self);
}

/// Closes a directory stream.
struct CloseDirectory {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

Result<FileKind> entry_kind(DIR* stream, const dirent& entry, const std::string& directory) {
  if (entry.d_type != DT_UNKNOWN) return kind_of(DTTOIF(entry.d_type));
  struct stat found {};
  if (::fstatat(::dirfd(stream), entry.d_name, &found, AT_SYMLINK_NOFOLLOW) == 0) return kind_of(found.st_mode);
  if (errno == ENOENT) return FileKind::missing;
  return system_status(errno, {.operation = "list", .path = directory});
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    const bool creating = mode == OpenMode::create;
    const char* operation = creating ? "create" : "open";
    // O_NONBLOCK: a FIFO put in place of a file must be refused, not waited on. It changes nothing for a regular file.
    const int flags = (mode == OpenMode::read ? O_RDONLY : O_RDWR) | O_NONBLOCK | (creating ? O_CREAT | O_EXCL : 0);
    UniqueFd descriptor = open_descriptor(path, flags);
    if (!descriptor.valid()) return system_status(errno, {.operation = operation, .path = path});
    const int error = creating ? require_file_mode(descriptor.get()) : require_regular(descriptor.get());
    if (error != 0) {
      if (creating) ::unlink(path.c_str());
      return system_status(error, {.operation = operation, .path = path});
    }
    return std::unique_ptr<File>(std::make_unique<PosixFile>(path, std::move(descriptor)));
  }

  Result<FileKind> kind(const std::string& path) override {
    struct stat found {};
    if (::lstat(path.c_str(), &found) == 0) return kind_of(found.st_mode);
    if (errno == ENOENT) return FileKind::missing;
    return system_status(errno, {.operation = "examine", .path = path});
  }

  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    UniqueFd descriptor = open_descriptor(path, O_RDONLY | O_DIRECTORY);
    if (!descriptor.valid()) return system_status(errno, {.operation = "list", .path = path});
    const std::unique_ptr<DIR, CloseDirectory> stream(::fdopendir(descriptor.get()));
    if (!stream) return system_status(errno, {.operation = "list", .path = path});
    descriptor.release();  // the stream closes it
    std::vector<DirectoryEntry> entries;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr && errno != 0) return system_status(errno, {.operation = "list", .path = path});
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      auto kind = entry_kind(stream.get(), *entry, path);
      if (!kind.ok()) return std::move(kind).status();
      if (kind.value() != FileKind::missing) entries.push_back({.name = std::string(name), .kind = kind.value()});
    }
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  Result<std::string> absolute(const std::string& path) override {
    if (path.starts_with('/')) return path;
    const std::unique_ptr<char, void (*)(void*)> present(::getcwd(nullptr, 0), &::free);
    if (present == nullptr) return system_status(errno, {.operation = "find the present directory for", .path = path});
    std::string_view below = path;
    while (below.starts_with("./")) below.remove_prefix(2);
    return std::string(present.get()).append("/").append(below);
  }

  Status make_directory(const std::string& path) override {
    if (retry_interrupted([&] { return ::mkdir(path.c_str(), kDirectoryMode); }) != 0)
      return system_status(errno, {.operation = "make directory", .path = path});
    const int error = require_directory_mode(path);
    if (error == 0) return {};
    ::rmdir(path.c_str());
    return system_status(error, {.operation = "make directory", .path = path});
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (retry_interrupted([&] { return ::rename(from.c_str(), to.c_str()); }) == 0) return {};
    return system_status(errno, {.operation = "rename", .path = from, .target = to});
  }

  Status link(const std::string& from, const std::string& to) override {
    if (retry_interrupted([&] { return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0); }) == 0) return {};
    return system_status(errno, {.operation = "link", .path = from, .target = to});
  }

  Status remove_file(const std::string& path) override {
    if (retry_interrupted([&] { return ::unlink(path.c_str()); }) == 0) return {};
    return system_status(errno, {.operation = "remove", .path = path});
  }

  Status remove_directory(const std::string& path) override {
    if (retry_interrupted([&] { return ::rmdir(path.c_str()); }) == 0) return {};
    return system_status(errno, {.operation = "remove directory", .path = path});
  }

  Status sync_directory(const std::string& path) override {
    const UniqueFd descriptor = open_descriptor(path, O_RDONLY | O_DIRECTORY);
    if (descriptor.valid() && retry_interrupted([&] { return ::fsync(descriptor.get()); }) == 0) return {};
    return system_status(errno, {.operation = "sync directory", .path = path});
  }

  Result<std::uint64_t> free_bytes(const std::string& path) override {
    struct statvfs found {};
    if (retry_interrupted([&] { return ::statvfs(path.c_str(), &found); }) != 0)
      return system_status(errno, {.operation = "examine free space of", .path = path});
    return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
  }

  Result<bool> is_writable(const std::string& directory) override {
    const std::string itself = directory + "/.";
    if (::faccessat(AT_FDCWD, itself.c_str(), W_OK, AT_EACCESS) == 0) return true;
    if (errno == EROFS || errno == EACCES || errno == EPERM) return false;
    return system_status(errno, {.operation = "examine", .path = directory});
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& directory) override {
    const std::string path = directory + "/" + kLockName;
    const auto failed = [&](int error) { return system_status(error, {.operation = "lock", .path = path}); };
    UniqueFd itself = open_descriptor(directory + "/.", O_RDONLY | O_DIRECTORY);
    if (!itself.valid()) return failed(errno);
    auto lock = std::make_unique<PosixDirectoryLock>(std::move(itself));
    int error = take_lock(lock->directory(), LOCK_EX);
    if (error == EWOULDBLOCK) return busy(directory, lock->directory());
    if (error != 0 && error != EBADF) return failed(error);  // EBADF: only what can be written may be locked here
    // The file is never removed: a name that comes and goes lets two openers lock two different files.
    lock->set_file(open_descriptor(path, O_RDWR | O_CREAT | O_NONBLOCK));
    if (!lock->file().valid()) return failed(errno);
    if (error = require_regular(lock->file().get()); error != 0) return failed(error);
    error = take_lock(lock->file(), LOCK_EX);
    if (error == EWOULDBLOCK) return busy(directory, lock->file());
    if (error == 0) error = require_file_mode(lock->file().get());
    if (error != 0) return failed(error);
    write_pid(lock->file().get());
    return std::unique_ptr<DirectoryLock>(std::move(lock));
  }

  Result<std::unique_ptr<DirectoryLock>> lock_shared(const std::string& directory) override {
    const std::string path = directory + "/" + kLockName;
    const auto failed = [&](int error) { return system_status(error, {.operation = "lock", .path = path}); };
    UniqueFd itself = open_descriptor(directory + "/.", O_RDONLY | O_DIRECTORY);
    if (!itself.valid()) return failed(errno);
    auto lock = std::make_unique<PosixDirectoryLock>(std::move(itself));
    int error = take_lock(lock->directory(), LOCK_SH);
    if (error == EWOULDBLOCK) return busy(directory, lock->directory());
    if (error != 0) return failed(error);
    lock->set_file(open_descriptor(path, O_RDONLY | O_NONBLOCK));
    if (lock->file().valid()) {
      error = require_regular(lock->file().get());
      if (error == 0) error = take_lock(lock->file(), LOCK_SH);
      if (error == EWOULDBLOCK) return busy(directory, lock->file());
      if (error != 0) return failed(error);
    } else if (errno != ENOENT && errno != EACCES) {
      return failed(errno);
    }
    return std::unique_ptr<DirectoryLock>(std::move(lock));
  }
};

}  // namespace

std::unique_ptr<FileSystem> make_posix_file_system() { return std::make_unique<PosixFileSystem>(); }

}  // namespace tuskv::os
