// The engine apart from units and transactions: expiry, syncing, snapshots, statistics and the orderly end.
#include <algorithm>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"

namespace tuskv::embedded {
namespace {

Status no_indexes() {
  return Status(Code::Unsupported,
                "indexes on JSON fields are for PostgreSQL tables of value_type=jsonb; here find_by_field reads the "
                "collection, in memory");
}

Status no_directory() { return Status(Code::Unsupported, "a memory: store has no directory, so it has no snapshots"); }

/// After a sweep the manifest's time is not older than this.
constexpr std::int64_t kTimeAgeMaxUs = 60'000'000;

}  // namespace

Result<std::uint64_t> EmbeddedEngine::remove_expired(std::uint64_t limit, std::int64_t timeout_ms) {
  if (!closed() && is_read_only()) return read_only_status();
  return sweep(limit, timeout_ms);
}

/// Where nothing is written, too: in memory.
Result<std::uint64_t> EmbeddedEngine::sweep(std::uint64_t limit, std::int64_t timeout_ms) {
  if (closed()) return closed_status();
  if (options_.ttl_mode == TtlMode::disabled) return std::uint64_t{0};
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  std::uint64_t removed = 0;
  bool in_time = false;
  if (limit == 0) {
    in_time = remove_expired_until(INT64_MAX, UINT64_MAX, deadline, removed);
  } else {
    in_time = remove_earliest(limit, deadline, removed);
  }
  swept_.fetch_add(removed, std::memory_order_relaxed);
  // Not logged, so a process that dies now takes them back; without the time they would live again at the next opening
  // if the clock is set back.
  if (removed != 0 && checkpointer_ != nullptr) checkpointer_->remember_time(kTimeAgeMaxUs, os::time_left_ms(deadline));
  if (!in_time && removed == 0) return Status(Code::Timeout, "the deadline passed while writes held the keys' shard");
  return removed;
}

/// As remove_expired_until, the earliest of all shards. In pieces of one batch: what is listed to find them is bounded.
bool EmbeddedEngine::remove_earliest(std::uint64_t limit, os::Deadline deadline, std::uint64_t& removed) {
  for (std::uint64_t before = removed; removed < limit; before = removed) {
    const auto piece = std::min<std::uint64_t>(options_.sweep_batch, limit - removed);
    // Shards know only their own entries: all that are earlier than the last one within the piece go before any that
    // shares its instant.
    const std::int64_t last = keyspace_.expiry_of_earliest(static_cast<std::size_t>(piece), clock_.now_us());
    if (!remove_expired_until(last - 1, before + piece, deadline, removed)) return false;
    if (!remove_expired_until(last, before + piece, deadline, removed)) return false;
    if (removed - before < piece) break;
  }
  return true;
}

/// Adds to `removed`, up to `limit`; false when the deadline has passed. Shards take turns, one batch each, so that
/// foreground calls have the locks in between.
bool EmbeddedEngine::remove_expired_until(std::int64_t until_us, std::uint64_t limit, os::Deadline deadline,
                                          std::uint64_t& removed) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  ShardSet left;
  left.add_all(keyspace_.shard_count());
  while (!left.empty() && removed < limit) {
    ShardSet full;  // those that may have more
    for (std::size_t i = 0; i < keyspace_.shard_count() && removed < limit; ++i) {
      if (!left.contains(i)) continue;
      Shard& shard = keyspace_.shard(i);
      const auto batch = static_cast<std::size_t>(std::min<std::uint64_t>(options_.sweep_batch, limit - removed));
      std::int64_t left_ms = os::time_left_ms(deadline);
      if (!shard.writer.lock_within(left_ms)) return false;
      os::AdoptedLock lock(shard.writer);
      const std::size_t swept = shard.remove_expired(std::min(clock_.now_us(), until_us), batch);
      removed += swept;
      if (swept == batch) full.add(i);
      if (swept == batch && os::time_left_ms(deadline) == 0) return false;
    }
    left = full;
  }
  return true;
}

Status EmbeddedEngine::set_sweeper(std::optional<EngineSweeperOptions> options) {
  if (closed()) return closed_status();
  if (options) return sweeper_.start(*options);
  sweeper_.stop();
  return {};
}

Status EmbeddedEngine::note_encrypted() {
  if (closed()) return closed_status();
  return checkpointer_ == nullptr ? Status() : checkpointer_->note_encrypted();
}

Status EmbeddedEngine::sync(std::int64_t timeout_ms) {
  if (closed()) return closed_status();
  if (checkpointer_ == nullptr) return {};
  if (options_.durability != Durability::unlogged) return log_->wait_synced(log_->last_sequence(), timeout_ms);
  return checkpointer_->snapshot_if_changed();
}

std::vector<SnapshotInfo> EmbeddedEngine::snapshot_list() const {
  return checkpointer_ == nullptr ? read_snapshots_ : checkpointer_->snapshots();
}

Result<SnapshotInfo> EmbeddedEngine::snapshot() {
  if (closed()) return closed_status();
  if (checkpointer_ == nullptr) return in_memory() ? no_directory() : read_only_status();
  return checkpointer_->snapshot();
}

Result<std::vector<SnapshotInfo>> EmbeddedEngine::snapshots() {
  if (closed()) return closed_status();
  if (in_memory()) return no_directory();
  return snapshot_list();
}

Result<std::size_t> EmbeddedEngine::prune_snapshots(std::size_t keep) {
  if (closed()) return closed_status();
  if (checkpointer_ == nullptr) return in_memory() ? no_directory() : read_only_status();
  return checkpointer_->prune(keep);
}

/// Everything is in memory, and no lock taken here is held while something waits for the disk.
Result<Stats> EmbeddedEngine::stats(std::int64_t) {
  if (closed()) return closed_status();
  Stats stats;
  stats.engine = in_memory() ? "memory" : "file";
  stats.durability = in_memory() ? Durability::unlogged : options_.durability;
  const std::int64_t now = liveness_us();
  const Keyspace::OwnEntries own = keyspace_.own_entries();
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    stats.expired += keyspace_.count_expired(i, now);
    const Shard& shard = keyspace_.shard(i);
    os::ReaderLock lock(shard.map);
    stats.entries += shard.entry_count();
    stats.key_bytes += shard.key_bytes();
    stats.value_bytes += shard.value_bytes();
    stats.value_bytes_max = std::max(stats.value_bytes_max, shard.value_bytes_max());
    stats.memory_bytes += shard.entry_memory_bytes() + shard.index_memory_bytes();
  }
  // What was counted first may have gone since.
  stats.entries -= std::min(stats.entries, own.count);
  stats.key_bytes -= std::min(stats.key_bytes, own.key_bytes);
  stats.value_bytes -= std::min(stats.value_bytes, own.value_bytes);
  const std::uint64_t synced = log_->synced_sequence();  // before `sequence`, which it never exceeds
  stats.sequence = log_->last_sequence();
  stats.swept = swept_.load(std::memory_order_relaxed);
  stats.recovered_records = recovered_records_;
  stats.recovered_torn_bytes = recovered_torn_bytes_;
  if (in_memory()) return stats;
  stats.syncs = log_->sync_count();
  stats.log_bytes = log_->log_bytes();
  stats.log_segments = log_->segment_count();
  if (checkpointer_ != nullptr) stats.snapshot_failures = checkpointer_->failure_count();
  const std::vector<SnapshotInfo> snapshots = snapshot_list();
  stats.snapshots = snapshots.size();
  if (!snapshots.empty()) stats.newest_snapshot = snapshots.back();
  const std::uint64_t in_snapshot = stats.newest_snapshot ? stats.newest_snapshot->sequence : 0;
  stats.synced_sequence = options_.durability == Durability::unlogged ? in_snapshot : synced;
  return stats;
}

/// Whether anybody can have seen more of the time than what is on the disk says: an entry that has expired, or a clock
/// that was set back.
bool EmbeddedEngine::time_has_told() {
  if (swept_.load(std::memory_order_relaxed) != 0 || clock_.behind_us() > 0) return true;
  std::vector<std::int64_t> dead;
  for (std::size_t i = 0; i < keyspace_.shard_count() && dead.empty(); ++i) {
    const Shard& shard = keyspace_.shard(i);
    os::ReaderLock lock(shard.map);
    shard.list_expired(liveness_us(), 1, dead);
  }
  return !dead.empty();
}

Status EmbeddedEngine::close() {
  os::MutexLock closing(close_mutex_);
  if (closed()) return close_result_.clone();
  closed_.store(true, std::memory_order_release);
  sweeper_.stop();
  // Writes that saw the store open finish; later ones look at closed_ under their writer mutex.
  keyspace_.lock_all_writers();
  keyspace_.unlock_all_writers();
  Status status;
  if (checkpointer_ != nullptr) {
    if (time_has_told()) checkpointer_->remember_time(1, os::kLongestWaitMs);
    status = checkpointer_->stop();
  }
  Status log_status = log_->close();
  directory_lock_.reset();
  close_result_ = status.ok() ? std::move(log_status) : std::move(status);
  return close_result_.clone();
}

Result<bool> EmbeddedEngine::create_index(std::string_view, std::int64_t) {
  return closed() ? closed_status() : no_indexes();
}

Result<bool> EmbeddedEngine::drop_index(std::string_view, std::int64_t) {
  return closed() ? closed_status() : no_indexes();
}

Result<std::vector<std::string>> EmbeddedEngine::indexes(std::int64_t) {
  return closed() ? closed_status() : no_indexes();
}

}  // namespace tuskv::embedded
