#include "embedded/embedded_engine.h"

#include <algorithm>
#include <utility>

#include "embedded/scan.h"
#include "plan.h"

namespace tuskv::embedded {
namespace {

OptimisticTransaction::RangeRead range_read(const Range& range, const Examined& examined) {
  return {.from = std::string(range.from),
          .to = std::string(range.to),
          .examined = examined.entries,
          .fingerprint = examined.fingerprint};
}

/// The keys a page has looked at, as a range.
OptimisticTransaction::RangeRead examined_range(const Scan& page) {
  OptimisticTransaction::RangeRead read = range_read(page.range, page.examined);
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

Status conflict() { return Status(Code::Conflict, "another write changed what the transaction has read"); }

void fail(Unit& unit, Status status) { unit.failure = std::move(status).take(); }

bool all_reads(const Unit& unit) {
  return std::all_of(unit.commands.begin(), unit.commands.end(),
                     [](const Command& command) { return std::holds_alternative<Read>(command); });
}

void answer_read(Command& command, const StoredEntry* stored, std::int64_t liveness_us) {
  PlannedChange none;
  // A Read cannot fail.
  static_cast<void>(plan(state_of(stored, liveness_us), command, liveness_us, none));
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
  if (auto* count_command = std::get_if<Count>(&command)) return count(keyspace_, *count_command, liveness_us());
  if (auto* range = std::get_if<EraseRange>(&command)) return run_erase_range(unit, *range);
  return run_write(unit, command);
}

// ---- reads

std::uint64_t EmbeddedEngine::run_reads(Unit& unit) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  std::uint64_t revealed = 0;
  std::int64_t now = INT64_MIN;  // read when the first entry with an expiry is met
  struct LargeRead {
    Command& command;
    KeptEntry entry;
  };
  std::vector<LargeRead> large_reads;  // copied behind the locks
  const auto answer = [&](Command& command, std::uint64_t hash, const Shard& shard) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    const StoredEntry* stored = shard.find(hash, command_key(command));
    if (stored != nullptr && now == INT64_MIN && stored->expires_us() != 0) now = liveness_us();
    revealed = std::max(revealed, stored != nullptr ? stored->sequence() : shard.last_erase_sequence());
    if (stored != nullptr && stored->is_large()) {
      large_reads.push_back({.command = command, .entry = stored->keep()});
    } else {
      answer_read(command, stored, now);
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
  for (const LargeRead& read : large_reads) answer_read(read.command, read.entry.get(), now);
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
  const PreparedChange prepared = shard.prepare(hash, change);
  std::uint64_t sequence = 0;
  if (log_->recording()) {
    RecordBuffer& record = shard.record_buffer();
    record.start(RecordKind::changes);
    record.add(change);
    Result<std::uint64_t> logged = log_record(record, unit.timeout_ms);
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
  bool has_ended = false;
  {
    os::WriterLock map(shard.map);
    // Readers look at the time under this lock or before, so none of them has seen a later one.
    has_ended = state.expires_us != 0 && !is_live(state.expires_us, liveness_us());
    if (!has_ended) shard.install(prepared, sequence);
  }
  if (has_ended) {
    Batch logged(keyspace_);
    logged.add_logged({.hash = hash, .shard = keyspace_.shard_index(hash), .change = change, .prepared = prepared});
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
  Result<std::uint64_t> sequence(std::uint64_t{0});
  if (log_->recording()) {
    RecordBuffer& record = keyspace_.shard(batch.net().front().shard).record_buffer();
    record.start(RecordKind::changes);
    for (const NetChange& net : batch.net()) record.add(net.change);
    sequence = log_record(record, left_ms);
  } else {
    sequence = log_->next_sequence();
  }
  if (!sequence.ok()) batch.discard();
  return sequence;
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
  const bool installed = install(batch, replaced.value());
  logged.discard();
  if (!installed) return run_again(unit, batch, replaced.value(), again);
  if (!status.ok()) {
    fail(unit, std::move(status));
  } else {
    for (Command& command : unit.commands) set_version(command, replaced.value());
  }
  return replaced.value();
}

/// The same for a transaction, which then is a conflict; false when what was logged counts after all.
bool EmbeddedEngine::take_back(Batch& logged, std::uint64_t sequence, std::int64_t& left_ms) noexcept {
  const auto always = [] { return INT64_MIN; };
  Batch batch(keyspace_);
  batch.put_back(logged, liveness_us());
  const Result<std::uint64_t> replaced = log_batch(batch, left_ms);
  if (!replaced.ok()) {
    logged.install(sequence, always);
    return false;
  }
  batch.install(replaced.value(), always);
  logged.discard();
  return true;
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
bool EmbeddedEngine::reads_hold(const OptimisticTransaction& transaction, std::int64_t now_us,
                                std::int64_t& ends_us) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  for (const auto& read : transaction.reads) {
    const std::uint64_t hash = keyspace_.hash(read.key);
    const Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
    const EntryState state = state_of(shard.find(hash, read.key), now_us);
    if (state.version != read.version) return false;
    if (state.expires_us != 0) ends_us = std::min(ends_us, state.expires_us);
  }
  for (const auto& range : transaction.ranges) {
    const Examined present = examine_held(keyspace_, {.from = range.from, .to = range.to}, now_us);
    if (present.entries != range.examined || present.fingerprint != range.fingerprint) return false;
    ends_us = std::min(ends_us, present.ends_us);
  }
  return true;
}

Status EmbeddedEngine::read(OptimisticTransaction& transaction, Unit& unit) {
  if (closed()) return closed_status();
  std::uint64_t revealed = 0;
  {
    os::ReaderLock whole(range_erase_);
    if (transaction.reads.empty() && transaction.ranges.empty()) transaction.validated_at = change_count();
    revealed = read_and_remember(transaction, unit);
    // Nothing has changed anywhere since the reads last held together: they still do.
    const std::uint64_t changes = change_count();
    if (transaction.validated_at != changes) {
      transaction.validated_at = changes;
      TUSKV_RETURN_IF_ERROR(validate(transaction));
    }
    // Time changes nothing that is compared, and what was seen to be gone stays so: only the living can end meanwhile.
    if (liveness_us() >= transaction.ends_us) return conflict();
  }
  settle(unit, revealed);
  return unit.failure == nullptr ? Status() : Status(std::move(unit.failure));
}

std::uint64_t EmbeddedEngine::read_and_remember(OptimisticTransaction& transaction, Unit& unit) {
  const auto ends_by = [&](std::int64_t us) { transaction.ends_us = std::min(transaction.ends_us, us); };
  if (auto* page = std::get_if<Scan>(&unit.commands.front())) {
    const std::uint64_t revealed = scan(keyspace_, *page, liveness_us());
    transaction.add(examined_range(*page));
    ends_by(page->examined.ends_us);
    return revealed;
  }
  if (auto* whole = std::get_if<Count>(&unit.commands.front())) {
    Examined examined;
    const std::uint64_t revealed = count(keyspace_, *whole, liveness_us(), &examined);
    transaction.add(range_read(whole->range, examined));
    ends_by(examined.ends_us);
    return revealed;
  }
  const std::uint64_t revealed = run_reads(unit);
  for (const Command& command : unit.commands) {
    const Read& read = std::get<Read>(command);
    transaction.reads.push_back({.key = std::string(read.key), .version = read.seen.found ? read.seen.version : 0});
    if (read.seen.found && read.seen.expires_us != 0) ends_by(read.seen.expires_us);
  }
  return revealed;
}

Status EmbeddedEngine::validate(const OptimisticTransaction& transaction) {
  const MapSetLock lock(keyspace_, shards_of(transaction, false), MapSetLock::Mode::shared);
  std::int64_t ends_us = INT64_MAX;
  return reads_hold(transaction, liveness_us(), ends_us) ? Status() : conflict();
}

Status EmbeddedEngine::commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  if (closed()) return closed_status();
  if (transaction.writes.empty()) {
    os::ReaderLock whole(range_erase_);
    return validate(transaction);
  }
  if (is_read_only()) return read_only_status();
  Unit wait{.timeout_ms = timeout_ms};
  std::uint64_t sequence = 0;
  {
    const WriterSetLock lock(keyspace_, shards_of(transaction, true), timeout_ms);
    if (!lock.held() || closed()) return closed() ? closed_status() : busy_shard_status();
    const Moment now = moment();
    std::int64_t ends_us = INT64_MAX;
    if (!reads_hold(transaction, now.liveness_us, ends_us)) return conflict();
    Batch batch(keyspace_);
    batch.rests_until(ends_us);
    batch.plan_writes(transaction, now.now_us, now.liveness_us);
    if (batch.empty()) return {};
    Result<std::uint64_t> logged = log_batch(batch, timeout_ms);
    if (!logged.ok()) return std::move(logged).status();
    sequence = logged.value();
    if (!install(batch, sequence) && take_back(batch, sequence, timeout_ms)) return conflict();
  }
  if (!must_wait(sequence)) return {};
  return log_->wait_synced(sequence, timeout_ms).with_outcome(Outcome::unknown);
}

}  // namespace tuskv::embedded
