#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <memory>
#include <stdexcept>

#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

constexpr std::size_t kBlockCacheBytes = std::size_t{1} << 30;
constexpr std::uint64_t kBatchEntries = 1000;
constexpr double kBloomBitsPerKey = 10;

void check(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
}

class RocksdbSession final : public Session {
 public:
  RocksdbSession(rocksdb::DB& db, bool sync) : db_(db) { write_.sync = sync; }
  void set(std::string_view key, std::string_view value) override { check(db_.Put(write_, key, value)); }
  bool get(std::string_view key, std::string& value) override {
    const rocksdb::Status status = db_.Get(read_, key, &value);
    if (!status.IsNotFound()) check(status);
    return status.ok();
  }

 private:
  rocksdb::DB& db_;
  rocksdb::ReadOptions read_;
  rocksdb::WriteOptions write_;
};

class Rocksdb final : public LocalSubject {
 public:
  explicit Rocksdb(const SubjectOptions& options) : sync_(options.sync), compacts_(options.all_in_cache) {
    rocksdb::Options settings;
    settings.create_if_missing = true;
    if (options.all_in_cache) {
      rocksdb::BlockBasedTableOptions table;
      table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
      table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
      settings.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
      settings.compression = rocksdb::kNoCompression;
    }
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(settings, options.directory, &db));
    db_.reset(db);
  }

  void load(const Dataset& data) override {
    KeyWriter keys(data.key_bytes);
    const ValueSource values(data.value_bytes, 1);
    rocksdb::WriteBatch batch;
    for (std::uint64_t n = 0; n < data.entries; ++n) {
      check(batch.Put(keys.key(n), values.value(n)));
      if ((n + 1) % kBatchEntries != 0 && n + 1 != data.entries) continue;
      check(db_->Write(rocksdb::WriteOptions(), &batch));
      batch.Clear();
    }
    check(db_->Flush(rocksdb::FlushOptions()));
    if (compacts_) check(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  }

  std::unique_ptr<Session> session() override { return std::make_unique<RocksdbSession>(*db_, sync_); }

  std::uint64_t read_all() override {
    std::uint64_t entries = 0;
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(rocksdb::ReadOptions()));
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) entries += iterator->value().empty() ? 0 : 1;
    check(iterator->status());
    return entries;
  }

  std::string version() const override { return rocksdb::GetRocksVersionAsString(); }

 private:
  bool sync_;
  bool compacts_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<Subject> make_rocksdb(const SubjectOptions& options) { return std::make_unique<Rocksdb>(options); }

}  // namespace tuskv::bench
