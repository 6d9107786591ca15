// A store put together from its parts, without the engine's commands: writes are changes, as the log gets them.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "embedded/append_record.h"
#include "embedded/batch.h"
#include "embedded/checkpointer.h"
#include "embedded/keyspace.h"
#include "embedded/log.h"
#include "embedded/manifest.h"
#include "embedded/recovery.h"
#include "os/file_system.h"
#include "support/manual_clock.h"

namespace tuskv::embedded {

using State = std::map<std::string, std::string>;

struct TestStoreOptions {
  CheckpointerOptions checkpointer = {.directory = "/d"};
  std::size_t shards = 4;
  std::uint64_t segment_bytes_min = std::uint64_t{16} << 10;
  std::uint64_t segment_bytes_max = std::uint64_t{64} << 10;
  /// Whether the thread runs, and with it what is decided at opening.
  bool starts = true;
};

class TestStore final {
 public:
  using Options = TestStoreOptions;

  /// Opens the directory, making a store of it when it holds none.
  static Result<std::unique_ptr<TestStore>> open(os::FileSystem& file_system, const Options& options,
                                                 const test::ManualClock& clock) {
    auto store = std::make_unique<TestStore>(file_system, options, clock);
    Status status = store->open_directory();
    if (!status.ok()) return status;
    return store;
  }

  TestStore(os::FileSystem& file_system, const Options& options, const test::ManualClock& clock)
      : file_system_(file_system), options_(options), clock_(clock), keyspace_(options.shards, 1) {}

  /// One record; durable as the options say when it returns.
  Result<std::uint64_t> apply(const std::vector<Change>& changes) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    ShardSet shards;
    for (const Change& change : changes) shards.add(shard_of(change.key));
    std::uint64_t sequence = 0;
    {
      std::int64_t patience_ms = 60'000;
      const WriterSetLock lock(keyspace_, shards, patience_ms);
      EXPECT_TRUE(lock.held());
      std::vector<PreparedChange> prepared;
      for (const Change& change : changes) {
        Shard& shard = keyspace_.shard(shard_of(change.key));
        shard.make_room(changes.size());
        prepared.push_back(shard.prepare(keyspace_.hash(change.key), change));
      }
      Result<std::uint64_t> logged = log_changes(changes);
      if (!logged.ok()) return logged;
      sequence = logged.value();
      const MapSetLock map(keyspace_, shards, MapSetLock::Mode::exclusive);
      for (PreparedChange& change : prepared) {
        keyspace_.shard(shard_of(change.change.key)).install(change, sequence);
      }
    }
    if (options_.checkpointer.durability == Durability::durable) {
      TUSKV_RETURN_IF_ERROR(log_->wait_synced(sequence, 60'000));
    }
    return sequence;
  }

  Result<std::uint64_t> put(const State& entries, std::int64_t expires_us = 0) {
    std::vector<Change> changes;
    const std::int64_t now = clock_.now_us();
    for (const auto& [key, value] : entries) {
      changes.push_back({.key = key, .value = value, .expires_us = expires_us, .created_us = now, .updated_us = now});
    }
    return apply(changes);
  }

  Result<std::uint64_t> erase(const std::string& key) { return apply({{.op = ChangeOp::erase, .key = key}}); }

  State contents() const { return contents_of(keyspace_); }

  static State contents_of(const Keyspace& keyspace) {
    State state;
    for (std::size_t i = 0; i < keyspace.shard_count(); ++i) {
      keyspace.dump(
          i, {}, SIZE_MAX,
          [](void* context, const EntryView& entry) {
            static_cast<State*>(context)->emplace(entry.key, entry.value);
            return true;
          },
          &state);
    }
    return state;
  }

  Checkpointer& checkpointer() { return *checkpointer_; }
  Log& log() { return *log_; }
  const Recovered& recovered() const { return recovered_; }

  Status close() {
    Status stopped = checkpointer_->stop();
    Status closed = log_->close();
    lock_.reset();
    return stopped.ok() ? std::move(closed) : std::move(stopped);
  }

 private:
  std::size_t shard_of(std::string_view key) const { return keyspace_.shard_index(keyspace_.hash(key)); }

  Result<std::uint64_t> log_changes(const std::vector<Change>& changes) {
    if (!log_->recording()) return log_->next_sequence();
    RecordBuffer record;
    record.start(RecordKind::changes);
    for (const Change& change : changes) record.add(change);
    Result<std::uint64_t> sequence = append_record(*log_, record);
    if (sequence.ok()) checkpointer_->consider();
    return sequence;
  }

  Status open_directory() {
    const std::string& directory = options_.checkpointer.directory;
    Result<os::FileKind> kind = file_system_.kind(directory);
    if (!kind.ok()) return std::move(kind).status();
    if (kind.value() == os::FileKind::missing) {
      TUSKV_RETURN_IF_ERROR(file_system_.make_directory(directory));
      TUSKV_RETURN_IF_ERROR(file_system_.sync_directory("/"));
    }
    Result<std::unique_ptr<os::DirectoryLock>> lock = file_system_.lock(directory);
    if (!lock.ok()) return std::move(lock).status();
    lock_ = std::move(lock).value();
    Result<os::FileKind> manifest = file_system_.kind(directory + "/" + kManifestName);
    if (!manifest.ok()) return std::move(manifest).status();
    if (manifest.value() == os::FileKind::missing) {
      Manifest first{.hash_seed = 42};
      first.store_id[0] = 9;
      TUSKV_RETURN_IF_ERROR(write_manifest(file_system_, directory, first));
    }
    return start();
  }

  Status start() {
    const std::string& directory = options_.checkpointer.directory;
    Result<Recovered> recovered = recover(file_system_, {.directory = directory, .threads = 1}, keyspace_);
    if (!recovered.ok()) return std::move(recovered).status();
    recovered_ = std::move(recovered).value();
    const auto first_segment = [](void* context, std::uint64_t ordinal) {
      return static_cast<TestStore*>(context)->checkpointer_->on_first_segment(ordinal);
    };
    log_ = std::make_unique<Log>(&file_system_, LogOptions{.directory = directory,
                                                           .store_id = recovered_.manifest.store_id,
                                                           .durability = options_.checkpointer.durability,
                                                           .segment_bytes_min = options_.segment_bytes_min,
                                                           .segment_bytes_max = options_.segment_bytes_max,
                                                           .next_ordinal = recovered_.next_log_ordinal,
                                                           .last_sequence = recovered_.last_sequence,
                                                           .on_first_segment = first_segment,
                                                           .context = this});
    for (const RecoveredSegment& segment : recovered_.segments) {
      log_->add_recovered_segment(segment.ordinal, segment.bytes);
    }
    CheckpointerOptions options = options_.checkpointer;
    options.now_us = [](void* context) {
      auto& store = *static_cast<TestStore*>(context);
      return std::max(store.clock_.now_us(),
                      std::max(store.recovered_.clock_high_us, store.recovered_.manifest.clock_high_us));
    };
    options.clock_context = this;
    checkpointer_ = std::make_unique<Checkpointer>(file_system_, keyspace_, *log_, options, recovered_.manifest);
    return options_.starts ? checkpointer_->start() : Status();
  }

  os::FileSystem& file_system_;
  const Options options_;
  const test::ManualClock& clock_;
  Keyspace keyspace_;
  std::unique_ptr<os::DirectoryLock> lock_;
  Recovered recovered_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Checkpointer> checkpointer_;
};

}  // namespace tuskv::embedded
