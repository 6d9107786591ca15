#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <memory>
#include <stdexcept>

#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

constexpr std::size_t kBlockCacheBytes = std::size_t{1} << 30;
constexpr std::uint64_t kBatchEntries = 1000;
constexpr int kBloomBitsPerKey = 10;

void check(const leveldb::Status& status) {
  if (!status.ok()) throw std::runtime_error("LevelDB: " + status.ToString());
}

leveldb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class LeveldbSession final : public Session {
 public:
  LeveldbSession(leveldb::DB& db, bool sync) : db_(db) { write_.sync = sync; }
  void set(std::string_view key, std::string_view value) override { check(db_.Put(write_, slice(key), slice(value))); }
  bool get(std::string_view key, std::string& value) override {
    const leveldb::Status status = db_.Get(leveldb::ReadOptions(), slice(key), &value);
    if (!status.IsNotFound()) check(status);
    return status.ok();
  }

 private:
  leveldb::DB& db_;
  leveldb::WriteOptions write_;
};

class Leveldb final : public LocalSubject {
 public:
  explicit Leveldb(const SubjectOptions& options) : sync_(options.sync) {
    leveldb::Options settings;
    settings.create_if_missing = true;
    if (options.all_in_cache) {
      cache_.reset(leveldb::NewLRUCache(kBlockCacheBytes));
      filter_.reset(leveldb::NewBloomFilterPolicy(kBloomBitsPerKey));
      settings.block_cache = cache_.get();
      settings.filter_policy = filter_.get();
      settings.compression = leveldb::kNoCompression;
    }
    leveldb::DB* db = nullptr;
    check(leveldb::DB::Open(settings, options.directory, &db));
    db_.reset(db);
  }

  void load(const Dataset& data) override {
    KeyWriter keys(data.key_bytes);
    const ValueSource values(data.value_bytes, 1);
    leveldb::WriteBatch batch;
    for (std::uint64_t n = 0; n < data.entries; ++n) {
      batch.Put(slice(keys.key(n)), slice(values.value(n)));
      if ((n + 1) % kBatchEntries != 0 && n + 1 != data.entries) continue;
      check(db_->Write(leveldb::WriteOptions(), &batch));
      batch.Clear();
    }
    db_->CompactRange(nullptr, nullptr);
  }

  std::unique_ptr<Session> session() override { return std::make_unique<LeveldbSession>(*db_, sync_); }

  std::uint64_t read_all() override {
    std::uint64_t entries = 0;
    const std::unique_ptr<leveldb::Iterator> iterator(db_->NewIterator(leveldb::ReadOptions()));
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) entries += iterator->value().empty() ? 0 : 1;
    check(iterator->status());
    return entries;
  }

  std::string version() const override {
    return std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion);
  }

 private:
  bool sync_;
  // In this order: the database uses both until it is closed.
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

std::unique_ptr<Subject> make_leveldb(const SubjectOptions& options) { return std::make_unique<Leveldb>(options); }

}  // namespace tuskv::bench
