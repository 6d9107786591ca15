#include "embedded/embedded_engine.h"

#include <algorithm>
#include <utility>

#include "embedded/scan.h"
#include "plan.h"

namespace tuskv::embedded {
namespace {

Status closed_status() { return Status(Code::Closed, "the store is closed"); }

Status busy_shard_status() {
  return Status(Code::Timeout, "the deadline passed while other writes held the key's shard");
}

Status no_directory() { return Status(Code::Unsupported, "a memory: store has no directory, so it has no snapshots"); }

/// The keys a page has looked at, as a range.
OptimisticTransaction::RangeRead examined_range(const Scan& page) {
  OptimisticTransaction::RangeRead read{.from = std::string(page.range.from),
                                        .to = std::string(page.range.to),
                                        .examined = page.examined,
                                        .fingerprint = page.fingerprint};
  // The first key behind K is K with a NUL appended.
  if (page.reverse) {
    if (!page.after.empty() && (read.to.empty() || page.after < read.to)) read.to = page.after;
    if (!page.next.empty()) read.from = page.next;
  } else {
    if (!page.after.empty() && page.after >= read.from) read.from = std::string(page.after) + '\0';
    if (!page.next.empty()) read.to = page.next + '\0';
  }
  return read;
}

void fail(Unit& unit, Status status) { unit.failure = std::move(status).take(); }

bool all_reads(const Unit& unit) {
  return std::all_of(unit.commands.begin(), unit.commands.end(),
                     [](const Command& command) { return std::holds_alternative<Read>(command); });
}

bool changes_something(const Unit& unit) {
  return std::any_of(unit.commands.begin(), unit.commands.end(), [](const Command& command) {
    return is_keyed_write(command) || std::holds_alternative<EraseRange>(command);
  });
}

}  // namespace

// ---- executing units

void EmbeddedEngine::execute(std::span<Unit> units) {
  // All units first, then the waits: one sync then serves the whole span.
  if (units.size() == 1) {
    settle(units[0], run(units[0]));
    return;
  }
  std::vector<std::uint64_t> revealed(units.size());
  for (std::size_t i = 0; i < units.size(); ++i) revealed[i] = run(units[i]);
  for (std::size_t i = 0; i < units.size(); ++i) settle(units[i], revealed[i]);
}

void EmbeddedEngine::submit(Submission& submission) {
  const std::uint64_t revealed = run(submission.unit);
  if (must_wait(revealed)) {
    const auto synced = [](void* context, const Status& status) {
      auto& waiting = *static_cast<Submission*>(context);
      if (!status.ok() && waiting.unit.failure == nullptr) fail(waiting.unit, status.clone());
      waiting.done(waiting);
    };
    if (!log_->notify_synced(revealed, synced, &submission)) return;
  }
  submission.done(submission);
}

void EmbeddedEngine::settle(Unit& unit, std::uint64_t revealed) {
  if (!must_wait(revealed)) return;
  Status status = log_->wait_synced(revealed, unit.timeout_ms);
  if (status.ok() || unit.failure != nullptr) return;
  fail(unit, std::move(status).with_outcome(changes_something(unit) ? Outcome::unknown : Outcome::not_applied));
}

std::uint64_t EmbeddedEngine::run(Unit& unit) {
  if (closed()) {
    fail(unit, closed_status());
    return 0;
  }
  if (unit.commands.empty()) return 0;
  if (all_reads(unit)) return run_reads(unit);
  if (unit.commands.size() > 1) return run_batch(unit);
  Command& command = unit.commands.front();
  if (auto* scan_command = std::get_if<Scan>(&command)) return scan(keyspace_, *scan_command, liveness_us());
  if (auto* count_command = std::get_if<Count>(&command)) return count(keyspace_, *count_command, liveness_us());
  if (auto* range = std::get_if<EraseRange>(&command)) return run_erase_range(unit, *range);
  return run_write(unit, command);
}

// ---- reads

std::uint64_t EmbeddedEngine::run_reads(Unit& unit) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  std::uint64_t revealed = 0;
  std::int64_t now = INT64_MIN;  // read when the first entry with an expiry is met
  const auto answer = [&](Command& command, std::uint64_t hash, const Shard& shard) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    const StoredEntry* stored = shard.find(hash, command_key(command));
    if (stored != nullptr && now == INT64_MIN && stored->expires_us() != 0) now = liveness_us();
    revealed = std::max(revealed, stored != nullptr ? stored->sequence() : shard.last_erase_sequence());
    PlannedChange none;
    // A Read cannot fail.
    static_cast<void>(plan(state_of(stored, now), command, now, none));
  };
  if (unit.commands.size() == 1) {
    Command& command = unit.commands.front();
    const std::uint64_t hash = keyspace_.hash(command_key(command));
    const Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
    os::ReaderLock lock(shard.map);
    answer(command, hash, shard);
  } else {
    // All at one instant, so that half a batch is never seen.
    std::vector<std::uint64_t> hashes;
    hashes.reserve(unit.commands.size());
    ShardSet shards;
    for (const Command& command : unit.commands) {
      hashes.push_back(keyspace_.hash(command_key(command)));
      shards.add(keyspace_.shard_index(hashes.back()));
    }
    const MapSetLock lock(keyspace_, shards, MapSetLock::Mode::shared);
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      answer(unit.commands[i], hashes[i], keyspace_.shard(keyspace_.shard_index(hashes[i])));
    }
  }
  if (options_.ttl_mode == TtlMode::on_read && now != INT64_MIN) remove_met_dead(unit);
  return revealed;
}

/// Removes the dead entries that a read has met. Best effort: never waits for a writer.
void EmbeddedEngine::remove_met_dead(const Unit& unit) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  for (const Command& command : unit.commands) {
    if (std::get<Read>(command).seen.found) continue;
    const std::string_view key = command_key(command);
    const std::uint64_t hash = keyspace_.hash(key);
    Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
    if (!shard.writer.try_lock()) continue;
    os::AdoptedLock lock(shard.writer);
    if (shard.remove_if_expired(hash, key, liveness_us())) swept_.fetch_add(1, std::memory_order_relaxed);
  }
}

// ---- writes

Result<std::uint64_t> EmbeddedEngine::log_record(RecordBuffer& record) {
  Result<std::uint64_t> sequence = log_->append(record);
  if (sequence.ok() && checkpointer_ != nullptr) checkpointer_->consider();
  return sequence;
}

std::uint64_t EmbeddedEngine::run_write(Unit& unit, Command& command) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  const std::string_view key = command_key(command);
  const std::uint64_t hash = keyspace_.hash(key);
  Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
  if (!shard.writer.lock_within(unit.timeout_ms)) {
    fail(unit, busy_shard_status());
    return 0;
  }
  os::AdoptedLock lock(shard.writer);
  if (closed()) {
    fail(unit, closed_status());
    return 0;
  }
  const StoredEntry* stored = shard.find_as_writer(hash, key);
  const std::uint64_t revealed = stored != nullptr ? stored->sequence() : shard.last_erase_sequence_as_writer();
  const std::int64_t now = clock_.now_us();
  PlannedChange planned;
  Status status =
      plan(state_of(stored, options_.ttl_mode == TtlMode::disabled ? INT64_MIN : now), command, now, planned);
  if (!status.ok() || (unit.require_all && !is_applied(command))) {
    clear_applied(command);
    if (!status.ok()) fail(unit, std::move(status));
    return revealed;
  }
  if (planned.kind == PlannedChange::Kind::none) return revealed;

  const Change change = to_change(key, planned);
  if (change.op == ChangeOp::put) shard.make_room(1);
  const PreparedChange prepared = shard.prepare(hash, change);
  std::uint64_t sequence = 0;
  if (log_->recording()) {
    RecordBuffer& record = shard.record_buffer();
    record.start(RecordKind::changes);
    record.add(change);
    Result<std::uint64_t> logged = log_record(record);
    if (!logged.ok()) {
      Shard::discard(prepared);
      clear_applied(command);
      fail(unit, std::move(logged).status());
      return 0;
    }
    sequence = logged.value();
  } else {
    sequence = log_->next_sequence();
  }
  {
    os::WriterLock map(shard.map);
    shard.install(prepared, sequence);
  }
  set_version(command, sequence);
  return sequence;
}

std::uint64_t EmbeddedEngine::run_batch(Unit& unit) {
  ShardSet shards;
  for (const Command& command : unit.commands) {
    shards.add(keyspace_.shard_index(keyspace_.hash(command_key(command))));
  }
  const WriterSetLock lock(keyspace_, shards, unit.timeout_ms);
  if (!lock.held() || closed()) {
    fail(unit, closed() ? closed_status() : busy_shard_status());
    return 0;
  }
  Batch batch(keyspace_);
  Status status = batch.plan_unit(unit, clock_.now_us(), liveness_us());
  if (!status.ok()) {
    fail(unit, std::move(status));
    return batch.revealed();
  }
  if (batch.empty()) return batch.revealed();
  Result<std::uint64_t> sequence = commit_batch(batch);
  if (!sequence.ok()) {
    for (Command& command : unit.commands) clear_applied(command);
    fail(unit, std::move(sequence).status());
    return 0;
  }
  for (Command& command : unit.commands) set_version(command, sequence.value());
  return sequence.value();
}

Result<std::uint64_t> EmbeddedEngine::commit_batch(Batch& batch) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  batch.prepare();
  Result<std::uint64_t> sequence(std::uint64_t{0});
  if (log_->recording()) {
    RecordBuffer& record = keyspace_.shard(batch.net().front().shard).record_buffer();
    record.start(RecordKind::changes);
    for (const NetChange& net : batch.net()) record.add(net.change);
    sequence = log_record(record);
  } else {
    sequence = log_->next_sequence();
  }
  if (sequence.ok()) {
    batch.install(sequence.value());
  } else {
    batch.discard();
  }
  return sequence;
}

/// All or nothing for writers, transactions and recovery. Readers may see a part of it while it goes on: it gives way
/// to them.
std::uint64_t EmbeddedEngine::run_erase_range(Unit& unit, EraseRange& command) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  constexpr std::size_t kErasedUnderLockMax = 256;
  ShardSet all;
  all.add_all(keyspace_.shard_count());
  const WriterSetLock lock(keyspace_, all, unit.timeout_ms);
  if (!lock.held() || closed()) {
    fail(unit, closed() ? closed_status() : busy_shard_status());
    return 0;
  }
  Count live{.range = command.range};
  const std::uint64_t revealed = count(keyspace_, live, liveness_us());
  if (live.count == 0) return revealed;
  std::uint64_t sequence = 0;
  if (log_->recording()) {
    RecordBuffer& record = keyspace_.shard(0).record_buffer();
    record.start(RecordKind::changes);
    record.add({.op = ChangeOp::erase_range, .key = command.range.from, .value = command.range.to});
    Result<std::uint64_t> logged = log_record(record);
    if (!logged.ok()) {
      fail(unit, std::move(logged).status());
      return 0;
    }
    sequence = logged.value();
  } else {
    sequence = log_->next_sequence();
  }
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    Shard& shard = keyspace_.shard(i);
    bool more = true;
    while (more) {
      os::WriterLock map(shard.map);
      more = shard.erase_some(command.range.from, command.range.to, kErasedUnderLockMax, sequence);
    }
  }
  command.erased = live.count;
  return sequence;
}

// ---- transactions

std::uint64_t EmbeddedEngine::change_count() const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) total += keyspace_.shard(i).change_count();
  return total;
}

ShardSet EmbeddedEngine::shards_of(const OptimisticTransaction& transaction, bool with_writes) const {
  ShardSet shards;
  if (!transaction.ranges.empty()) {
    shards.add_all(keyspace_.shard_count());
    return shards;
  }
  const auto add = [&](const std::string& key) { shards.add(keyspace_.shard_index(keyspace_.hash(key))); };
  for (const auto& read : transaction.reads) add(read.key);
  if (with_writes) {
    for (const auto& write : transaction.writes) add(write.key);
  }
  return shards;
}

/// Whether everything read still is what it was. The locks of the shards concerned are held.
bool EmbeddedEngine::reads_hold(const OptimisticTransaction& transaction) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  const std::int64_t now = liveness_us();
  for (const auto& read : transaction.reads) {
    const std::uint64_t hash = keyspace_.hash(read.key);
    const Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
    if (state_of(shard.find(hash, read.key), now).version != read.version) return false;
  }
  for (const auto& range : transaction.ranges) {
    const Fingerprint present = fingerprint(keyspace_, {.from = range.from, .to = range.to}, now);
    if (present != Fingerprint{.examined = range.examined, .fingerprint = range.fingerprint}) return false;
  }
  return true;
}

Status EmbeddedEngine::read(OptimisticTransaction& transaction, Unit& unit) {
  const bool first = transaction.reads.empty() && transaction.ranges.empty();
  if (first) transaction.validated_at = change_count();
  execute(std::span(&unit, 1));
  if (unit.failure != nullptr) return Status(std::move(unit.failure));
  for (const Command& command : unit.commands) {
    if (const auto* read = std::get_if<Read>(&command)) {
      transaction.reads.push_back(
          {.key = std::string(read->key), .version = read->seen.found ? read->seen.version : 0});
    } else if (const auto* page = std::get_if<Scan>(&command)) {
      transaction.ranges.push_back(examined_range(*page));
    } else {
      return Status(Code::Internal, "a transaction reads with Read and Scan only");
    }
  }
  // Nothing has changed anywhere since the reads last held together: they still do.
  const std::uint64_t changes = change_count();
  if (transaction.validated_at == changes) return {};
  transaction.validated_at = changes;
  return validate(transaction);
}

Status EmbeddedEngine::validate(const OptimisticTransaction& transaction) {
  const MapSetLock lock(keyspace_, shards_of(transaction, false), MapSetLock::Mode::shared);
  return reads_hold(transaction) ? Status() : conflict();
}

Status EmbeddedEngine::conflict() {
  conflicts_.fetch_add(1, std::memory_order_relaxed);
  return Status(Code::Conflict, "another write changed what the transaction has read");
}

Status EmbeddedEngine::commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  if (closed()) return closed_status();
  if (transaction.writes.empty()) return validate(transaction);
  Unit wait{.timeout_ms = timeout_ms};
  std::uint64_t sequence = 0;
  {
    const WriterSetLock lock(keyspace_, shards_of(transaction, true), timeout_ms);
    if (!lock.held() || closed()) return closed() ? closed_status() : busy_shard_status();
    if (!reads_hold(transaction)) return conflict();
    Batch batch(keyspace_);
    batch.plan_writes(transaction, clock_.now_us(), liveness_us());
    if (batch.empty()) return {};
    Result<std::uint64_t> committed = commit_batch(batch);
    if (!committed.ok()) return std::move(committed).status();
    sequence = committed.value();
  }
  if (!must_wait(sequence)) return {};
  return log_->wait_synced(sequence, timeout_ms).with_outcome(Outcome::unknown);
}

// ---- the rest

/// The instant up to which the `limit` earliest of all dead entries have expired.
std::int64_t EmbeddedEngine::expiry_of_earliest(std::uint64_t limit) {
  const std::int64_t now = clock_.now_us();
  std::vector<std::int64_t> expired;
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    const Shard& shard = keyspace_.shard(i);
    os::ReaderLock lock(shard.map);
    shard.list_expired(now, limit, expired);
  }
  if (expired.size() <= limit) return now;
  const auto last = expired.begin() + static_cast<std::ptrdiff_t>(limit - 1);
  std::nth_element(expired.begin(), last, expired.end());
  return *last;
}

Result<std::uint64_t> EmbeddedEngine::remove_expired(std::uint64_t limit) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  if (closed()) return closed_status();
  if (options_.ttl_mode == TtlMode::disabled) return std::uint64_t{0};
  const std::uint64_t wanted = limit == 0 ? UINT64_MAX : limit;
  const std::int64_t until = limit == 0 ? INT64_MAX : expiry_of_earliest(limit);
  std::uint64_t removed = 0;
  for (std::size_t i = 0; i < keyspace_.shard_count() && removed < wanted; ++i) {
    Shard& shard = keyspace_.shard(i);
    while (removed < wanted) {
      const auto batch = static_cast<std::size_t>(std::min<std::uint64_t>(options_.sweep_batch, wanted - removed));
      // One batch a hold of the locks: foreground calls get their turn in between.
      shard.writer.lock();
      os::AdoptedLock lock(shard.writer);
      const std::size_t swept = shard.remove_expired(std::min(clock_.now_us(), until), batch);
      removed += swept;
      if (swept < batch) break;
    }
  }
  swept_.fetch_add(removed, std::memory_order_relaxed);
  return removed;
}

Status EmbeddedEngine::set_sweeper(std::optional<EngineSweeperOptions> options) {
  if (closed()) return closed_status();
  if (options) {
    sweeper_.start(*options);
  } else {
    sweeper_.stop();
  }
  return {};
}

Status EmbeddedEngine::sync(std::int64_t timeout_ms) {
  if (closed()) return closed_status();
  if (checkpointer_ == nullptr) return {};
  if (options_.durability != Durability::unlogged) return log_->wait_synced(log_->last_sequence(), timeout_ms);
  return checkpointer_->snapshot_if_changed();
}

Result<SnapshotInfo> EmbeddedEngine::snapshot() {
  if (closed()) return closed_status();
  if (checkpointer_ == nullptr) return no_directory();
  return checkpointer_->snapshot();
}

Result<std::vector<SnapshotInfo>> EmbeddedEngine::snapshots() {
  if (closed()) return closed_status();
  if (checkpointer_ == nullptr) return no_directory();
  return checkpointer_->snapshots();
}

Result<std::size_t> EmbeddedEngine::prune_snapshots(std::size_t keep) {
  if (closed()) return closed_status();
  if (checkpointer_ == nullptr) return no_directory();
  return checkpointer_->prune(keep);
}

Result<Stats> EmbeddedEngine::stats() {
  if (closed()) return closed_status();
  Stats stats;
  stats.engine = checkpointer_ == nullptr ? "memory" : "file";
  stats.durability = checkpointer_ == nullptr ? Durability::unlogged : options_.durability;
  const std::int64_t now = liveness_us();
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    const Shard& shard = keyspace_.shard(i);
    os::ReaderLock lock(shard.map);
    stats.entries += shard.entry_count();
    stats.expired += shard.count_expired(now);
    stats.key_bytes += shard.key_bytes();
    stats.value_bytes += shard.value_bytes();
    stats.value_bytes_max = std::max(stats.value_bytes_max, shard.value_bytes_max());
    stats.memory_bytes += shard.entry_memory_bytes() + shard.index_memory_bytes();
  }
  stats.sequence = log_->last_sequence();
  stats.swept = swept_.load(std::memory_order_relaxed);
  stats.conflicts = conflicts_.load(std::memory_order_relaxed);
  stats.recovered_records = recovered_records_;
  stats.recovered_torn_bytes = recovered_torn_bytes_;
  if (checkpointer_ == nullptr) return stats;
  stats.synced_sequence = log_->synced_sequence();
  stats.syncs = log_->sync_count();
  stats.log_bytes = log_->log_bytes();
  stats.log_segments = log_->segment_count();
  stats.snapshot_failures = checkpointer_->failure_count();
  const std::vector<SnapshotInfo> snapshots = checkpointer_->snapshots();
  stats.snapshots = snapshots.size();
  if (!snapshots.empty()) stats.newest_snapshot = snapshots.back();
  return stats;
}

Status EmbeddedEngine::close() {
  os::MutexLock closing(close_mutex_);
  if (close_done_) return {};
  close_done_ = true;
  closed_.store(true, std::memory_order_release);
  sweeper_.stop();
  // Writes that saw the store open finish; later ones look at closed_ under their writer mutex.
  keyspace_.lock_all_writers();
  keyspace_.unlock_all_writers();
  Status status;
  if (checkpointer_ != nullptr) status = checkpointer_->stop();
  Status log_status = log_->close();
  directory_lock_.reset();
  return status.ok() ? std::move(log_status) : std::move(status);
}

}  // namespace tuskv::embedded
