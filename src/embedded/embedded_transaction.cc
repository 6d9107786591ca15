// Transactions. What one has read was so at one moment: after every change up to a sequence and before every later one,
// at one time. A read keeps that moment when it has met nothing that comes behind it: no newer entry, none that has
// ended since, and none missing that has gone since. Otherwise all that was read is looked at again; what is as it was
// has been so at the present moment, too. So others may write as much as they like beside what a transaction reads, and
// no lock is held for longer than a page takes, but for a commit that writes and has listed, and where more has been
// removed meanwhile than is kept (removals.h).
#include <algorithm>
#include <utility>

#include "embedded/embedded_engine.h"
#include "embedded/scan.h"
#include "plan.h"

namespace tuskv::embedded {
namespace {

/// What is looked at under one hold of the locks.
constexpr std::size_t kLookAtOnce = 256;

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

bool in_range(const OptimisticTransaction::RangeRead& range, std::string_view key) {
  return key >= range.from && (range.to.empty() || key < range.to);
}

bool is_as_read(const OptimisticTransaction::RangeRead& read, const Examined& present) {
  return present.entries == read.examined && present.fingerprint == read.fingerprint;
}

bool is_before(const ReadMoment& moment, const Examined& examined) {
  return moment.is_before(std::max(examined.latest_version, examined.ended_version), examined.ended_us);
}

ReadMoment moment_of(const OptimisticTransaction& transaction) {
  return {.sequence = transaction.validated_at, .time_us = transaction.validated_us};
}

void set_moment(OptimisticTransaction& transaction, const ReadMoment& moment) {
  transaction.validated_at = moment.sequence;
  transaction.validated_us = moment.time_us;
}

bool is_late(std::size_t looked_at, os::Deadline deadline) {
  return looked_at % kLookAtOnce == 0 && os::time_left(deadline).count() == 0;
}

Status late() {
  return Status(Code::Timeout, "the deadline passed while what the transaction has read was looked at again");
}

Status conflict() { return Status(Code::Conflict, "another write changed what the transaction has read"); }

}  // namespace

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

/// Changes that are under way are not counted, nor those that came behind them, which may be seen already.
ReadMoment EmbeddedEngine::present_moment() {
  // First: what gets a later sequence does not count, and what has an earlier one is in its shard or can be seen.
  ReadMoment moment{.sequence = log_->last_sequence()};
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    moment.sequence = std::min(moment.sequence, keyspace_.shard(i).changing_from() - 1);
  }
  moment.time_us = liveness_us();
  return moment;
}

// ---- reading

Status EmbeddedEngine::read(OptimisticTransaction& transaction, Unit& unit) {
  if (closed()) return closed_status();
  if (transaction.reads.empty() && transaction.ranges.empty()) set_moment(transaction, present_moment());
  std::uint64_t revealed = 0;
  if (!read_and_remember(transaction, unit, revealed)) {
    const os::Deadline deadline = os::deadline_in(unit.timeout_ms);
    TUSKV_RETURN_IF_ERROR(validate(transaction, deadline));
    unit.timeout_ms = os::time_left_ms(deadline);
  }
  settle(unit, revealed);
  return unit.failure == nullptr ? Status() : Status(std::move(unit.failure));
}

bool EmbeddedEngine::read_and_remember(OptimisticTransaction& transaction, Unit& unit, std::uint64_t& revealed) {
  Command& first = unit.commands.front();
  if (auto* page = std::get_if<Scan>(&first)) {
    revealed = scan(keyspace_, *page, liveness_us());
    return remember(transaction, examined_range(*page), page->examined);
  }
  if (auto* whole = std::get_if<Count>(&first)) {
    Examined examined;
    revealed = run_count(unit, *whole, &examined);
    return unit.failure != nullptr || remember(transaction, range_read(whole->range, examined), examined);
  }
  revealed = run_reads(unit);
  bool holds = true;
  for (const Command& command : unit.commands) {
    const Read& read = std::get<Read>(command);
    const bool found = read.seen.found;
    transaction.reads.push_back({.key = std::string(read.key), .version = found ? read.seen.version : 0});
    if (found && read.seen.expires_us != 0) {
      transaction.ends_us = std::min(transaction.ends_us, read.seen.expires_us);
    }
    holds = holds && (found ? read.seen.version <= transaction.validated_at
                            : was_absent(keyspace_.hash(read.key), read.key, moment_of(transaction)));
  }
  return holds;
}

bool EmbeddedEngine::remember(OptimisticTransaction& transaction, OptimisticTransaction::RangeRead range,
                              const Examined& examined) {
  const ReadMoment moment = moment_of(transaction);
  const bool holds = !is_before(moment, examined) && was_complete(range, moment);
  transaction.ends_us = std::min(transaction.ends_us, examined.ends_us);
  transaction.add(std::move(range));
  return holds;
}

/// Whether a key that a read has not found was not there at that moment.
bool EmbeddedEngine::was_absent(std::uint64_t hash, std::string_view key, const ReadMoment& moment) const {
  const Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
  const os::ReaderLock lock(shard.map);
  const StoredEntry* stored = shard.find(hash, key);
  if (stored != nullptr) return !moment.is_before(stored->sequence(), stored->expires_us());
  return !shard.removals().may_be_since(moment, [&](std::string_view removed) { return removed == key; });
}

/// Whether nothing of a range that has been read was gone already that was there at that moment.
bool EmbeddedEngine::was_complete(const OptimisticTransaction::RangeRead& range, const ReadMoment& moment) const {
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    const Shard& shard = keyspace_.shard(i);
    const os::ReaderLock lock(shard.map);
    const auto concerns = [&](std::string_view removed) { return in_range(range, removed); };
    if (shard.removals().may_be_since(moment, concerns)) return false;
  }
  return true;
}

// ---- looking again

Status EmbeddedEngine::validate(OptimisticTransaction& transaction, os::Deadline deadline) {
  // What there is of a range now may be anything.
  if (!transaction.ranges.empty() || transaction.reads.size() > kLookAtOnce) {
    // What has the version that was read has had it all the time since, this moment included; and what was not there
    // and is not there was not at this moment, unless it has gone since.
    const ReadMoment moment = present_moment();
    bool is_certain = true;
    TUSKV_RETURN_IF_ERROR(look_again_by_and_by(transaction, moment, deadline, is_certain));
    if (is_certain) {
      set_moment(transaction, moment);
      return {};
    }
  }
  os::ReaderLock whole(range_erase_);
  const MapSetLock lock(keyspace_, shards_of(transaction, false), MapSetLock::Mode::shared);
  const ReadMoment moment = present_moment();
  TUSKV_RETURN_IF_ERROR(look_again(transaction, moment.time_us, deadline));
  set_moment(transaction, moment);
  return {};
}

/// Whether everything read is at that time what it was. The locks of the shards concerned are held.
Status EmbeddedEngine::look_again(const OptimisticTransaction& transaction, std::int64_t now_us,
                                  os::Deadline deadline) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  std::size_t looked_at = 0;
  for (const auto& read : transaction.reads) {
    const std::uint64_t hash = keyspace_.hash(read.key);
    const Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
    if (state_of(shard.find(hash, read.key), now_us).version != read.version) return conflict();
    if (is_late(++looked_at, deadline)) return late();
  }
  for (const auto& range : transaction.ranges) {
    const auto present = examine_held(keyspace_, {.from = range.from, .to = range.to}, now_us, deadline);
    if (!present) return late();
    if (!is_as_read(range, *present)) return conflict();
  }
  return {};
}

/// The same in many short holds. `is_certain` becomes false when something may have been there at the moment although
/// it was not before and is not now.
Status EmbeddedEngine::look_again_by_and_by(const OptimisticTransaction& transaction, const ReadMoment& moment,
                                            os::Deadline deadline, bool& is_certain) const {
  std::size_t looked_at = 0;
  for (const auto& read : transaction.reads) {
    const std::uint64_t hash = keyspace_.hash(read.key);
    if (version_at(hash, read.key, moment.time_us) != read.version) return conflict();
    if (read.version == 0) is_certain = is_certain && was_absent(hash, read.key, moment);
    if (is_late(++looked_at, deadline)) return late();
  }
  for (const auto& range : transaction.ranges) {
    const auto present = examine(keyspace_, {.from = range.from, .to = range.to}, moment.time_us, deadline);
    if (!present) return late();
    if (!is_as_read(range, *present)) return conflict();
    is_certain = is_certain && present->ended_version <= moment.sequence && was_complete(range, moment);
  }
  return {};
}

std::uint64_t EmbeddedEngine::version_at(std::uint64_t hash, std::string_view key, std::int64_t now_us) const {
  const Shard& shard = keyspace_.shard(keyspace_.shard_index(hash));
  const os::ReaderLock lock(shard.map);
  return state_of(shard.find(hash, key), now_us).version;
}

// ---- the end

Status EmbeddedEngine::commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  if (closed()) return closed_status();
  if (transaction.writes.empty()) return validate(transaction, os::deadline_in(timeout_ms));
  if (is_read_only()) return read_only_status();
  std::uint64_t sequence = 0;
  bool counts = false;
  {
    const WriterSetLock lock(keyspace_, shards_of(transaction, true), timeout_ms);
    if (!lock.held() || closed()) return closed() ? closed_status() : busy_shard_status();
    const Moment now = moment();
    if (now.liveness_us >= transaction.ends_us) return conflict();
    if (!is_unchanged(transaction)) {
      // All writers wait for this: it must end in time for their sake, too.
      const os::Deadline deadline = os::deadline_in(timeout_ms);
      TUSKV_RETURN_IF_ERROR(look_again(transaction, now.liveness_us, deadline));
      timeout_ms = os::time_left_ms(deadline);
    }
    Batch batch(keyspace_);
    batch.rests_until(transaction.ends_us);
    batch.plan_writes(transaction, now.now_us, now.liveness_us);
    if (batch.empty()) return {};
    const ChangeUnderWay change_under_way(keyspace_.shard(batch.net().front().shard), *log_);
    Result<std::uint64_t> logged = log_batch(batch, timeout_ms);
    if (!logged.ok()) return std::move(logged).status();
    sequence = logged.value();
    for (auto& write : transaction.writes) write.version = sequence;
    counts = install(batch, sequence) || !take_back(batch, sequence, timeout_ms);
  }
  if (must_wait(sequence)) {
    TUSKV_RETURN_IF_ERROR(log_->wait_synced(sequence, timeout_ms).with_outcome(Outcome::unknown));
  }
  return counts ? Status() : conflict();
}

/// Whether the shards of what was read are as they were at its moment. Their writer mutexes are held.
bool EmbeddedEngine::is_unchanged(const OptimisticTransaction& transaction) const {
  const std::uint64_t shards = shards_of(transaction, false).mask();
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    const bool concerns = (shards >> i & 1) != 0;
    if (concerns && keyspace_.shard(i).last_change_sequence() > transaction.validated_at) return false;
  }
  return true;
}

}  // namespace tuskv::embedded
