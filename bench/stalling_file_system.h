// The operating system's files, whose writes and syncs can be made slow: what a disk does that is busy with others.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "os/file_system.h"

namespace tuskv::bench {

class StallingFileSystem final : public os::FileSystem {
 public:
  StallingFileSystem() : base_(os::make_posix_file_system()) {}

  /// From now on every write and every sync of a file takes so much longer.
  void stall(std::chrono::milliseconds duration) { stall_ms_.store(duration.count(), std::memory_order_relaxed); }
  /// Called by files before a write or a sync.
  void wait() const;

  Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode) override;
  Result<os::FileKind> kind(const std::string& path) override { return base_->kind(path); }
  Result<std::vector<os::DirectoryEntry>> list(const std::string& path) override { return base_->list(path); }
  Status make_directory(const std::string& path) override { return base_->make_directory(path); }
  Status rename(const std::string& from, const std::string& to) override { return base_->rename(from, to); }
  Status link(const std::string& from, const std::string& to) override { return base_->link(from, to); }
  Status remove_file(const std::string& path) override { return base_->remove_file(path); }
  Status remove_directory(const std::string& path) override { return base_->remove_directory(path); }
  Status sync_directory(const std::string& path) override { return base_->sync_directory(path); }
  Result<std::uint64_t> free_bytes(const std::string& path) override { return base_->free_bytes(path); }
  Result<bool> is_writable(const std::string& directory) override { return base_->is_writable(directory); }
  Result<std::unique_ptr<os::DirectoryLock>> lock(const std::string& directory) override {
    return base_->lock(directory);
  }
  Result<std::unique_ptr<os::DirectoryLock>> lock_shared(const std::string& directory) override {
    return base_->lock_shared(directory);
  }

 private:
  std::unique_ptr<os::FileSystem> base_;
  std::atomic<std::int64_t> stall_ms_ = 0;
};

}  // namespace tuskv::bench
