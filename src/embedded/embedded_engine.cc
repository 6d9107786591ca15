#include "embedded/embedded_engine.h"

#include <algorithm>
#include <utility>

#include "embedded/scan.h"
#include "plan.h"

namespace tuskv::embedded {
namespace {

void fail(Unit& unit, Status status) { unit.failure = std::move(status).take(); }

bool all_reads(const Unit& unit) {
  return std::all_of(unit.commands.begin(), unit.commands.end(),
                     [](const Command& command) { return std::holds_alternative<Read>(command); });
}

void answer_read(Command& command, const EntryState& state) {
  PlannedChange none;
  // A Read cannot fail, and has nothing to do with the time.
  static_cast<void>(plan(state, command, 0, none));
}

bool changes_something(const Unit& unit) {
  return std::any_of(unit.commands.begin(), unit.commands.end(), [](const Command& command) {
    return is_keyed_write(command) || std::holds_alternative<EraseRange>(command);
  });
}

/// What the reply reveals could not be synced, so it must not be given: not the failure of a unit either, which may
/// tell of a value.
void fail_unsynced(Unit& unit, Status status) {
  const bool may_have_changed = unit.failure == nullptr && changes_something(unit);
  fail(unit, std::move(status).with_outcome(may_have_changed ? Outcome::unknown : Outcome::not_applied));
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
      if (!status.ok()) fail_unsynced(waiting.unit, status.clone());
      waiting.done(waiting);
    };
    if (!log_->notify_synced(revealed, submission.unit.timeout_ms, synced, &submission)) return;
  }
  submission.done(submission);
}

void EmbeddedEngine::settle(Unit& unit, std::uint64_t revealed) {
  if (!must_wait(revealed)) return;
  Status status = log_->wait_synced(revealed, unit.timeout_ms);
  if (!status.ok()) fail_unsynced(unit, std::move(status));
}

std::uint64_t EmbeddedEngine::run(Unit& unit) {
  if (closed()) {
    fail(unit, closed_status());
    return 0;
  }
  if (unit.commands.empty()) return 0;
  if (is_read_only() && changes_something(unit)) {
    fail(unit, read_only_status());
    return 0;
  }
  if (all_reads(unit)) return run_reads(unit);
  if (unit.commands.size() > 1) return run_batch(unit);
  Command& command = unit.commands.front();
  if (auto* scan_command = std::get_if<Scan>(&command)) return scan(keyspace_, *scan_command, liveness_us());
  if (auto* count_command = std::get_if<Count>(&command)) return run_count(unit, *count_command);
  if (auto* range = std::get_if<EraseRange>(&command)) return run_erase_range(unit, *range);
  return run_write(unit, command);
}

// ---- reads

std::uint64_t EmbeddedEngine::run_count(Unit& unit, Count& command, Examined* examined) {
  const os::Deadline deadline = os::deadline_in(unit.timeout_ms);
  const auto revealed = count(keyspace_, command, liveness_us(), deadline, examined);
  unit.timeout_ms = os::time_left_ms(deadline);
  if (!revealed) fail(unit, Status(Code::Timeout, "the deadline passed while entries were counted"));
  return revealed.value_or(0);
}

std::uint64_t EmbeddedEngine::run_reads(Unit& unit) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  std::uint64_t revealed = 0;
  std::int64_t now = INT64_MIN;  // read when the first entry with an expiry is met
  struct LargeRead {
    Command& command;
    KeptEntry entry;
    EntryState state;
  };
  std::vector<LargeRead> large_reads;  // copied behind the locks
  const auto answer = [&](Command& command, std::uint64_t hash, const Shard& shard) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    const StoredEntry* stored = shard.find(hash, command_key(command));
    if (stored != nullptr && now == INT64_MIN && stored->expires_us() != 0) now = liveness_us();
    revealed = std::max(revealed, stored != nullptr ? stored->sequence() : shard.last_erase_sequence());
    const EntryState state = state_of(stored, now);
    if (stored != nullptr && stored->is_large()) {
      large_reads.push_back({.command = command, .entry = stored->keep(), .state = state});
    } else {
      answer_read(command, state);
    }
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
  for (const LargeRead& read : large_reads) answer_read(read.command, read.state);
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

Result<std::uint64_t> EmbeddedEngine::log_record(RecordBuffer& record, std::int64_t& left_ms) noexcept {
  Result<std::uint64_t> sequence = log_->append(record, left_ms);
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
  const Moment planned_at{.now_us = now, .liveness_us = options_.ttl_mode == TtlMode::disabled ? INT64_MIN : now};
  const EntryState state = state_of(stored, planned_at.liveness_us);
  PlannedChange planned;
  Status status = plan(state, command, now, planned);
  if (!status.ok() || (unit.require_all && !is_applied(command))) {
    clear_applied(command);
    if (!status.ok()) fail(unit, std::move(status));
    return revealed;
  }
  if (planned.kind == PlannedChange::Kind::none) return revealed;

  const Change change = to_change(key, planned);
  if (change.op == ChangeOp::put) shard.make_room(1);
  PreparedChange prepared = shard.prepare(hash, change);
  std::uint64_t sequence = 0;
  const ChangeUnderWay change_under_way(shard, *log_);
  if (log_->recording()) {
    RecordBuffer& record = shard.record_buffer();
    record.start(RecordKind::changes);
    record.add(change);
    Result<std::uint64_t> logged = log_record(record, unit.timeout_ms);
    if (!logged.ok()) {
      clear_applied(command);
      fail(unit, std::move(logged).status());
      return 0;
    }
    sequence = logged.value();
  } else {
    sequence = log_->next_sequence();
  }
  bool has_ended = false;
  {
    os::WriterLock map(shard.map);
    // Readers look at the time under this lock or before, so none of them has seen a later one.
    has_ended = state.expires_us != 0 && !is_live(state.expires_us, liveness_us());
    if (!has_ended) shard.install(prepared, sequence);
  }
  if (has_ended) {
    Batch logged(
        keyspace_,
        {.hash = hash, .shard = keyspace_.shard_index(hash), .change = change, .prepared = std::move(prepared)});
    return run_again(unit, logged, sequence, planned_at);
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
  const Moment planned_at = moment();
  Status status = batch.plan_unit(unit, planned_at.now_us, planned_at.liveness_us);
  if (!status.ok()) {
    fail(unit, std::move(status));
    return batch.revealed();
  }
  if (batch.empty()) return batch.revealed();
  const ChangeUnderWay change_under_way(keyspace_.shard(batch.net().front().shard), *log_);
  Result<std::uint64_t> sequence = log_batch(batch, unit.timeout_ms);
  if (!sequence.ok()) {
    for (Command& command : unit.commands) clear_applied(command);
    fail(unit, std::move(sequence).status());
    return 0;
  }
  if (!install(batch, sequence.value())) return run_again(unit, batch, sequence.value(), planned_at);
  for (Command& command : unit.commands) set_version(command, sequence.value());
  return sequence.value();
}

Result<std::uint64_t> EmbeddedEngine::log_batch(Batch& batch, std::int64_t& left_ms) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  batch.prepare();
  if (!log_->recording()) return log_->next_sequence();
  RecordBuffer& record = keyspace_.shard(batch.net().front().shard).record_buffer();
  record.start(RecordKind::changes);
  for (const NetChange& net : batch.net()) {
    record.add(net.change);
    if (record.size_bytes() > kRecordBytesMax) break;  // the log refuses it: values that are put back have no limit
  }
  return log_record(record, left_ms);
}

/// An entry that the unit was planned on has ended before anybody could see the change, and may have been seen gone, so
/// what was logged must not count. Plans again and logs that behind it, with the rest put back as it is. Left out: a
/// crash between the two records.
std::uint64_t EmbeddedEngine::run_again(Unit& unit, Batch& logged, std::uint64_t sequence,
                                        const Moment& planned_at) noexcept {
  Batch batch(keyspace_);
  const Moment again = moment();
  Status status = batch.plan_unit(unit, again.now_us, again.liveness_us);
  batch.put_back(logged, again.liveness_us);
  Result<std::uint64_t> replaced = log_batch(batch, unit.timeout_ms);
  if (!replaced.ok()) {
    // The log has the first record alone: that is what happened.
    static_cast<void>(Batch(keyspace_).plan_unit(unit, planned_at.now_us, planned_at.liveness_us).ok());
    logged.install(sequence, [] { return INT64_MIN; });
    for (Command& command : unit.commands) set_version(command, sequence);
    return sequence;
  }
  if (!install(batch, replaced.value())) return run_again(unit, batch, replaced.value(), again);
  if (!status.ok()) {
    fail(unit, std::move(status));
  } else {
    for (Command& command : unit.commands) set_version(command, replaced.value());
  }
  return replaced.value();
}

/// The same for a transaction, which then is a conflict; `sequence` becomes that of the record that says so, without
/// which the transaction would count after a loss of power. False when what was logged counts after all.
bool EmbeddedEngine::take_back(Batch& logged, std::uint64_t& sequence, std::int64_t& left_ms) noexcept {
  Batch batch(keyspace_);
  batch.put_back(logged, liveness_us());
  const Result<std::uint64_t> replaced = log_batch(batch, left_ms);
  if (!replaced.ok()) {
    logged.install(sequence, [] { return INT64_MIN; });
    return false;
  }
  sequence = replaced.value();
  return true;
}

}  // namespace tuskv::embedded
