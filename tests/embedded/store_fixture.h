// A store reduced to log and recovery, on any file system: no planning, no readers. What it holds after n records is
// known from the records alone, so tests compare every recovered state with a prefix of what was written.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedded/append_record.h"
#include "embedded/keyspace.h"
#include "embedded/log.h"
#include "embedded/log_reader.h"
#include "embedded/recovery.h"

namespace tuskv::embedded {

using State = std::map<std::string, std::string>;

inline State state_of(const Keyspace& keyspace) {
  State state;
  const auto visit = [](void* context, const EntryView& entry) {
    static_cast<State*>(context)->emplace(entry.key, entry.value);
    return true;
  };
  for (std::size_t shard = 0; shard < keyspace.shard_count(); ++shard) {
    keyspace.dump(shard, "", SIZE_MAX, visit, &state);
  }
  return state;
}

struct RecoveredState {
  Recovered recovered = {};
  State state = {};
};

inline Result<RecoveredState> recover_state(os::FileSystem& file_system, const RecoveryOptions& options) {
  Keyspace keyspace(4, 1);
  Result<Recovered> recovered = recover(file_system, options, keyspace);
  if (!recovered.ok()) return std::move(recovered).status();
  return RecoveredState{.recovered = std::move(recovered).value(), .state = state_of(keyspace)};
}

inline RecoveryOptions recovery_options(bool may_write = true) {
  return {.directory = "d", .threads = 1, .may_write = may_write, .may_sync = may_write};
}

/// The change that record `sequence` of the test workload makes: few keys, so that most are overwritten; some erased;
/// now and then a value larger than a small segment.
struct WorkloadChange {
  explicit WorkloadChange(std::uint64_t sequence)
      : key("key" + std::to_string(sequence % 11)),
        value((sequence % 40 == 39 ? 6000 : sequence * 37 % 150), static_cast<char>('a' + sequence % 26)),
        is_erase(sequence % 5 == 4) {}

  Change change() const {
    if (is_erase) return {.op = ChangeOp::erase, .key = key};
    return {.op = ChangeOp::put, .key = key, .value = value, .created_us = 1, .updated_us = 2};
  }

  std::string key;
  std::string value;
  bool is_erase;
};

/// What a store holds after records 1 … `sequence` of the workload.
inline State workload_state(std::uint64_t sequence) {
  State state;
  for (std::uint64_t i = 1; i <= sequence; ++i) {
    const WorkloadChange made(i);
    if (made.is_erase) {
      state.erase(made.key);
    } else {
      state[made.key] = made.value;
    }
  }
  return state;
}

/// One opening of the store. It keeps the manifest as the engine does.
class LogStore final {
 public:
  static Result<std::unique_ptr<LogStore>> open(os::FileSystem& file_system,
                                                Durability durability = Durability::durable) {
    auto store = std::make_unique<LogStore>(file_system);
    Result<os::FileKind> manifest = file_system.kind("d/" + std::string(kManifestName));
    if (!manifest.ok()) return std::move(manifest).status();
    if (manifest.value() == os::FileKind::missing) {
      TUSKV_RETURN_IF_ERROR(write_manifest(file_system, "d", {.store_id = {1, 2, 3}, .hash_seed = 7}));
    }
    Result<RecoveredState> recovered = recover_state(file_system, recovery_options());
    if (!recovered.ok()) return std::move(recovered).status();
    store->recovered_ = std::move(recovered).value();
    store->manifest_ = store->recovered_.recovered.manifest;
    store->start_log(durability);
    return store;
  }
  explicit LogStore(os::FileSystem& file_system) : file_system_(file_system) {}

  const RecoveredState& recovered() const { return recovered_; }
  Log& log() { return *log_; }

  /// Appends the next record of the workload.
  Result<std::uint64_t> append() {
    const WorkloadChange next(log_->last_sequence() + 1);
    RecordBuffer record;
    record.start(RecordKind::changes);
    record.add(next.change());
    return append_record(*log_, record);
  }

 private:
  void start_log(Durability durability) {
    const auto first_segment = [](void* context, std::uint64_t ordinal) {
      LogStore& store = *static_cast<LogStore*>(context);
      store.manifest_.last_log_ordinal = ordinal;
      store.manifest_.durable_sequence = store.recovered_.recovered.last_sequence;
      return write_manifest(store.file_system_, "d", store.manifest_);
    };
    log_ = std::make_unique<Log>(&file_system_, LogOptions{.directory = "d",
                                                           .store_id = manifest_.store_id,
                                                           .durability = durability,
                                                           .segment_bytes_min = 2048,
                                                           .segment_bytes_max = 4096,
                                                           .next_ordinal = recovered_.recovered.next_log_ordinal,
                                                           .last_sequence = recovered_.recovered.last_sequence,
                                                           .on_first_segment = first_segment,
                                                           .context = this});
    for (const RecoveredSegment& segment : recovered_.recovered.segments) {
      log_->add_recovered_segment(segment.ordinal, segment.bytes);
    }
  }

  os::FileSystem& file_system_;
  RecoveredState recovered_;
  Manifest manifest_;
  std::unique_ptr<Log> log_;
};

}  // namespace tuskv::embedded
