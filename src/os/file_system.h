// The only seam to the disk. Every file operation of the embedded engine goes through these two interfaces, so that the
// tests can lose what was not synced, fail any single call, and stop the world at any call
// (tests/support/simulated_file_system.h).
//
// What an implementation promises is what POSIX and Linux file systems promise, no more:
//  - written bytes survive the process at once, and a power loss only after a sync of the file;
//  - a created, renamed, linked or removed name survives a power loss only after a sync of its directory;
//  - a failed sync may have dropped the bytes: it must never be retried on the same File (poison instead).
//
// Errors are Status values naming the operation, the path, the offset where there is one, and the system's reason:
// Code::NoSpace for ENOSPC and EDQUOT (and EFBIG), Code::Busy from lock(), otherwise Code::Io. EINTR and short
// transfers are finished inside and never seen by callers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "status.h"

namespace tuskv::os {

/// An open file; closed by the destructor, which never syncs. Safe for concurrent reads; writers take turns.
class File {
 public:
  virtual ~File() = default;

  /// Reads up to `size` bytes at `offset` into `buffer`; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t size) const = 0;
  /// Writes all of `bytes` at `offset`, or fails; after a failure any part of them may have been written.
  virtual Status write_at(std::uint64_t offset, std::string_view bytes) = 0;
  /// Makes the written bytes, and the size, survive a power loss (fdatasync).
  virtual Status sync() = 0;
  /// Reserves space so that later writes below `size` cannot run out of it; the file grows to `size` (a longer one
  /// keeps its size), new bytes read as zero. Returns false when the file system cannot reserve; the file is then
  /// unchanged.
  virtual Result<bool> allocate(std::uint64_t size) = 0;
  virtual Status truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() const = 0;
  /// Asks the system to forget cached pages, so that the next read comes from the disk. Advice: has no result.
  virtual void drop_cached_pages() = 0;

  const std::string& path() const { return path_; }
  /// The file has been renamed: from now on errors name it as it is called.
  void set_path(std::string path) { path_ = std::move(path); }

 protected:
  explicit File(std::string path) : path_(std::move(path)) {}

 private:
  std::string path_;
};

/// Held while a directory is locked; releases the lock when destroyed.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class OpenMode {
  read,        ///< existing file, read only
  read_write,  ///< existing file
  create,      ///< new file, mode 0600; fails when the name exists
};

enum class FileKind { missing, file, directory, other };

struct DirectoryEntry {
  std::string name;
  FileKind kind = FileKind::other;
};

/// Thread-safe. Symbolic links are never followed in the last component of a path.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  /// Another name for `path`, which means the same wherever the process goes. Where there is no present directory:
  /// `path` itself.
  virtual Result<std::string> absolute(const std::string& path) { return path; }
  /// What stands at `path`; `missing` is not an error.
  virtual Result<FileKind> kind(const std::string& path) = 0;
  /// Names without "." and "..", sorted bytewise.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;
  /// Mode 0700 whatever the umask. Fails when the name exists.
  virtual Status make_directory(const std::string& path) = 0;
  /// Atomically replaces `to` when it exists.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// A second name for the same file.
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Status remove_file(const std::string& path) = 0;
  /// The directory must be empty.
  virtual Status remove_directory(const std::string& path) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  /// Free bytes for this user on the file system that holds `path`.
  virtual Result<std::uint64_t> free_bytes(const std::string& path) = 0;
  /// Whether this process may make, rename and remove files in a directory.
  virtual Result<bool> is_writable(const std::string& directory) = 0;
  /// Takes the exclusive lock of `directory` at once (the file LOCK in it holds the owner's pid), or fails with Busy
  /// naming the holder's pid when another process, or another opener of this one (also by another path), has it. A lock
  /// dies with its process, and does not depend on LOCK staying there.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& directory) = 0;
  /// The same for those who only read: any number at once, as long as nobody has the exclusive one, and nothing is
  /// written.
  virtual Result<std::unique_ptr<DirectoryLock>> lock_shared(const std::string& directory) = 0;
};

/// The operating system's files.
std::unique_ptr<FileSystem> make_posix_file_system();

}  // namespace tuskv::os
