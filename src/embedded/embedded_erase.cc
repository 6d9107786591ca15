// Erasing a range. Writers wait for the whole of it, so there is one pass over the data, and none over a shard that
// lies in the range altogether: its indexes are taken out at once, and freed when all locks have been given back.
#include <algorithm>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "plan.h"

namespace tuskv::embedded {
namespace {

/// Entries erased under one hold of a map lock.
constexpr std::size_t kEraseHoldEntries = 256;
/// A replayed erase_range looks at every entry of the store, so what fits into a record of this size is erased key by
/// key: replay then looks at the store once for so many bytes of log at most. Small beside what is kept on a full disk.
constexpr std::size_t kErasedByKeyBytesMax = std::size_t{64} << 10;

/// What the record of an erase was made from.
struct RangeSeen {
  bool any_live = false;
  std::uint64_t revealed = 0;  ///< by there being no live entry
};

/// Makes `record` the one that erases the range, dead entries included. Looks at no more of it than that takes. Every
/// writer mutex is held.
RangeSeen record_erase(const Keyspace& keyspace, const Range& range, std::int64_t now_us,
                       RecordBuffer& record) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  RangeSeen seen;
  record.start(RecordKind::changes);
  for (std::size_t i = 0; i < keyspace.shard_count(); ++i) {
    const Shard& shard = keyspace.shard(i);
    seen.revealed = std::max(seen.revealed, shard.last_erase_sequence_as_writer());
    const Shard::OrderedIndex& ordered = shard.ordered_as_writer();
    for (auto it = ordered.lower_bound(range.from); it != ordered.end(); ++it) {
      const EntryView entry = (*it)->view();
      if (!range.to.empty() && entry.key >= range.to) break;
      seen.any_live = seen.any_live || is_live(entry.expires_us, now_us);
      seen.revealed = std::max(seen.revealed, entry.sequence);
      if (record.size_bytes() <= kErasedByKeyBytesMax) {
        record.add({.op = ChangeOp::erase, .key = entry.key});
      } else if (seen.any_live) {
        record.start(RecordKind::changes);
        record.add({.op = ChangeOp::erase_range, .key = range.from, .value = range.to});
        return seen;
      }
    }
  }
  return seen;
}

}  // namespace

/// All or nothing for writers, transactions and recovery. Other readers may see a part of it while it goes on: it gives
/// way to them.
std::uint64_t EmbeddedEngine::run_erase_range(Unit& unit, EraseRange& command) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<ShardContents> erased;  // goes after the locks
  ShardSet all;
  all.add_all(keyspace_.shard_count());
  const WriterSetLock lock(keyspace_, all, unit.timeout_ms);
  if (!lock.held() || closed()) {
    unit.failure = (closed() ? closed_status() : busy_shard_status()).take();
    return 0;
  }
  erased.reserve(keyspace_.shard_count());
  RecordBuffer& record = keyspace_.shard(0).record_buffer();
  const RangeSeen seen = record_erase(keyspace_, command.range, liveness_us(), record);
  if (!seen.any_live) return seen.revealed;
  const ChangeUnderWay change_under_way(keyspace_.shard(0), *log_);
  std::uint64_t sequence = 0;
  if (log_->recording()) {
    Result<std::uint64_t> logged = log_record(record, unit.timeout_ms);
    if (!logged.ok()) {
      unit.failure = std::move(logged).status().take();
      return 0;
    }
    sequence = logged.value();
  } else {
    sequence = log_->next_sequence();
  }
  os::WriterLock whole(range_erase_);
  const std::int64_t now = liveness_us();  // what has ended by now may have been seen gone
  for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) {
    Shard& shard = keyspace_.shard(i);
    if (shard.lies_within(command.range.from, command.range.to)) {
      erased.push_back(shard.take_contents(sequence, now, command.erased));
      continue;
    }
    for (bool more = true; more;) {
      os::WriterLock map(shard.map);
      more = shard.erase_some(command.range.from, command.range.to, kEraseHoldEntries, sequence, now, command.erased);
    }
  }
  return sequence;
}

}  // namespace tuskv::embedded
