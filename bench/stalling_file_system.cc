#include "bench/stalling_file_system.h"

#include <thread>
#include <utility>

namespace tuskv::bench {
namespace {

class StallingFile final : public os::File {
 public:
  StallingFile(const StallingFileSystem& files, std::unique_ptr<os::File> base)
      : os::File(base->path()), files_(files), base_(std::move(base)) {}

  Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t size) const override {
    return base_->read_at(offset, buffer, size);
  }
  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    files_.wait();
    return base_->write_at(offset, bytes);
  }
  Status sync() override {
    files_.wait();
    return base_->sync();
  }
  Result<bool> allocate(std::uint64_t size) override { return base_->allocate(size); }
  Status truncate(std::uint64_t size) override { return base_->truncate(size); }
  Result<std::uint64_t> size() const override { return base_->size(); }
  void drop_cached_pages() override { base_->drop_cached_pages(); }

 private:
  const StallingFileSystem& files_;
  std::unique_ptr<os::File> base_;
};

}  // namespace

void StallingFileSystem::wait() const {
  const std::int64_t stall_ms = stall_ms_.load(std::memory_order_relaxed);
  if (stall_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(stall_ms));
}

Result<std::unique_ptr<os::File>> StallingFileSystem::open(const std::string& path, os::OpenMode mode) {
  Result<std::unique_ptr<os::File>> file = base_->open(path, mode);
  if (!file.ok()) return file;
  return std::unique_ptr<os::File>(std::make_unique<StallingFile>(*this, std::move(file).value()));
}

}  // namespace tuskv::bench
