#include <lmdb.h>

#include <filesystem>
#include <memory>
#include <stdexcept>

#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

constexpr std::size_t kMapBytes = std::size_t{8} << 30;
constexpr std::uint64_t kBatchEntries = 10'000;
constexpr mode_t kFileMode = 0600;

void check(int code) {
  if (code != 0) throw std::runtime_error(std::string("LMDB: ") + mdb_strerror(code));
}

MDB_val lend(std::string_view bytes) { return {.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())}; }

struct EnvironmentCloser {
  void operator()(MDB_env* environment) const { mdb_env_close(environment); }
};
using Environment = std::unique_ptr<MDB_env, EnvironmentCloser>;

/// Keeps one read transaction and renews it for every get, so that each sees what is stored now: the fastest way.
class LmdbSession final : public Session {
 public:
  LmdbSession(MDB_env& environment, MDB_dbi table) : environment_(environment), table_(table) {
    check(mdb_txn_begin(&environment_, nullptr, MDB_RDONLY, &reader_));
    mdb_txn_reset(reader_);
  }
  ~LmdbSession() override { mdb_txn_abort(reader_); }

  void set(std::string_view key, std::string_view value) override {
    MDB_txn* writer = nullptr;
    check(mdb_txn_begin(&environment_, nullptr, 0, &writer));
    MDB_val name = lend(key);
    MDB_val content = lend(value);
    check(mdb_put(writer, table_, &name, &content, 0));
    check(mdb_txn_commit(writer));
  }

  bool get(std::string_view key, std::string& value) override {
    check(mdb_txn_renew(reader_));
    MDB_val name = lend(key);
    MDB_val content = {};
    const int code = mdb_get(reader_, table_, &name, &content);
    if (code == 0) value.assign(static_cast<const char*>(content.mv_data), content.mv_size);
    mdb_txn_reset(reader_);
    if (code != MDB_NOTFOUND) check(code);
    return code == 0;
  }

 private:
  MDB_env& environment_;
  MDB_dbi table_;
  MDB_txn* reader_ = nullptr;
};

class Lmdb final : public LocalSubject {
 public:
  explicit Lmdb(const SubjectOptions& options) {
    std::filesystem::create_directories(options.directory);
    MDB_env* environment = nullptr;
    check(mdb_env_create(&environment));
    environment_.reset(environment);
    check(mdb_env_set_mapsize(environment, kMapBytes));
    // Read-ahead only wastes memory under random access; readers belong to sessions, not to threads.
    const unsigned flags = MDB_NORDAHEAD | MDB_NOTLS | (options.sync ? 0U : unsigned{MDB_NOSYNC});
    check(mdb_env_open(environment, options.directory.c_str(), flags, kFileMode));
    MDB_txn* transaction = nullptr;
    check(mdb_txn_begin(environment, nullptr, 0, &transaction));
    check(mdb_dbi_open(transaction, nullptr, 0, &table_));
    check(mdb_txn_commit(transaction));
  }

  void load(const Dataset& data) override {
    KeyWriter keys(data.key_bytes);
    const ValueSource values(data.value_bytes, 1);
    for (std::uint64_t start = 0; start < data.entries; start += kBatchEntries) {
      MDB_txn* transaction = nullptr;
      check(mdb_txn_begin(environment_.get(), nullptr, 0, &transaction));
      for (std::uint64_t n = start; n < start + kBatchEntries && n < data.entries; ++n) {
        MDB_val name = lend(keys.key(n));
        MDB_val content = lend(values.value(n));
        check(mdb_put(transaction, table_, &name, &content, 0));
      }
      check(mdb_txn_commit(transaction));
    }
  }

  std::unique_ptr<Session> session() override { return std::make_unique<LmdbSession>(*environment_, table_); }

  std::uint64_t read_all() override {
    MDB_txn* transaction = nullptr;
    check(mdb_txn_begin(environment_.get(), nullptr, MDB_RDONLY, &transaction));
    MDB_cursor* cursor = nullptr;
    check(mdb_cursor_open(transaction, table_, &cursor));
    std::uint64_t entries = 0;
    MDB_val name = {};
    MDB_val content = {};
    while (mdb_cursor_get(cursor, &name, &content, MDB_NEXT) == 0) ++entries;
    mdb_cursor_close(cursor);
    mdb_txn_abort(transaction);
    return entries;
  }

  std::string version() const override {
    int major = 0;
    int minor = 0;
    int patch = 0;
    mdb_version(&major, &minor, &patch);
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  }

 private:
  Environment environment_;
  MDB_dbi table_ = 0;
};

}  // namespace

std::unique_ptr<Subject> make_lmdb(const SubjectOptions& options) { return std::make_unique<Lmdb>(options); }

}  // namespace tuskv::bench
