// Directories in memory, as small as the readers under the fuzzer allow. It never fails and makes nothing durable.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "os/file_system.h"

namespace tuskv::fuzz {

class MemoryFile final : public os::File {
 public:
  MemoryFile(std::string path, std::string& bytes) : File(std::move(path)), bytes_(bytes) {}

  Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t size) const override {
    if (offset >= bytes_.size()) return std::size_t{0};
    return bytes_.copy(buffer, size, offset);
  }
  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    if (bytes_.size() < offset + bytes.size()) bytes_.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Status sync() override { return {}; }
  Result<bool> allocate(std::uint64_t) override { return false; }
  Status truncate(std::uint64_t size) override {
    bytes_.resize(size);
    return {};
  }
  Result<std::uint64_t> size() const override { return std::uint64_t{bytes_.size()}; }
  void drop_cached_pages() override {}

 private:
  std::string& bytes_;
};

class MemoryFiles final : public os::FileSystem {
 public:
  /// Creates the file when there is none.
  std::string& bytes(const std::string& path) { return files_[path]; }
  void remove(const std::string& path) { files_.erase(path); }

  Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode) override {
    if (mode != os::OpenMode::create && !files_.contains(path)) return Status(Code::Io, "open " + path);
    return std::unique_ptr<os::File>(std::make_unique<MemoryFile>(path, files_[path]));
  }
  Result<os::FileKind> kind(const std::string& path) override {
    if (files_.contains(path)) return os::FileKind::file;
    const auto below = files_.lower_bound(path + "/");
    const bool has_some = below != files_.end() && below->first.starts_with(path + "/");
    return has_some ? os::FileKind::directory : os::FileKind::missing;
  }
  Result<std::vector<os::DirectoryEntry>> list(const std::string& path) override {
    std::vector<os::DirectoryEntry> entries;
    for (const auto& [name, bytes] : files_) {
      if (!name.starts_with(path + "/")) continue;
      const std::string below = name.substr(path.size() + 1);
      const std::size_t end = below.find('/');
      const os::DirectoryEntry entry{.name = below.substr(0, end),
                                     .kind = end == below.npos ? os::FileKind::file : os::FileKind::directory};
      if (entries.empty() || entries.back().name != entry.name) entries.push_back(entry);
    }
    return entries;
  }
  // What readers do not call.
  Status make_directory(const std::string&) override { return unsupported(); }
  Status rename(const std::string&, const std::string&) override { return unsupported(); }
  Status link(const std::string&, const std::string&) override { return unsupported(); }
  Status remove_file(const std::string&) override { return unsupported(); }
  Status remove_directory(const std::string&) override { return unsupported(); }
  Status sync_directory(const std::string&) override { return unsupported(); }
  Result<std::uint64_t> free_bytes(const std::string&) override { return unsupported(); }
  Result<bool> is_writable(const std::string&) override { return unsupported(); }
  Result<std::unique_ptr<os::DirectoryLock>> lock(const std::string&) override { return unsupported(); }
  Result<std::unique_ptr<os::DirectoryLock>> lock_shared(const std::string&) override { return unsupported(); }

 private:
  static Status unsupported() { return {Code::Unsupported, "files in memory"}; }

  std::map<std::string, std::string> files_;
};

}  // namespace tuskv::fuzz
