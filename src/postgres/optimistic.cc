#include "postgres/optimistic.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postgres/listing.h"
#include "postgres/locked_rows.h"
#include "postgres/page.h"
#include "postgres/row_state.h"

namespace tuskv::postgres {
namespace {

Status conflict() { return Status(Code::Conflict, "another write changed what the transaction has read"); }

/// Keys to be read in one snapshot, and what came of it.
struct SnapshotRead {
  struct Key {
    bool wants_value = false;
    int row = -1;
    std::size_t chunk = 0;
  };
  std::map<std::string_view, Key> keys = {};
  std::vector<std::size_t> places = {};
  std::vector<Rows> chunks = {};
  bool with_canary = false;
  std::int64_t live_until_us = INT64_MAX;  ///< when the first of all that was found live expires

  void note_expiry(std::int64_t expires_us) {
    if (expires_us != 0) live_until_us = std::min(live_until_us, expires_us);
  }
};

void add_key_chunk(Database& database, Connection& connection, SnapshotRead& read,
                   std::span<const std::pair<std::string_view, bool>> part) {
  const std::string canary = read.with_canary ? canary_key() : std::string();
  const std::size_t extra = read.with_canary ? 1 : 0;
  Parameters parameters;
  parameters.begin_array(kBytea, part.size() + extra);
  if (read.with_canary) parameters.element(canary);
  for (const auto& [key, wants_value] : part) parameters.element(key);
  parameters.end_array();
  parameters.begin_array(kBool, part.size() + extra);
  if (read.with_canary) parameters.element_bool(true);
  for (const auto& [key, wants_value] : part) parameters.element_bool(wants_value);
  parameters.end_array();
  parameters.add_int4(INT32_MAX);
  parameters.add_bool(false);
  read.places.push_back(connection.add(database.statements().read_many, parameters));
}

void add_keys(Database& database, Connection& connection, SnapshotRead& read) {
  std::vector<std::pair<std::string_view, bool>> keys;
  keys.reserve(read.keys.size());
  for (const auto& [key, wanted] : read.keys) keys.emplace_back(key, wanted.wants_value);
  std::span<const std::pair<std::string_view, bool>> left = keys;
  do {
    const auto part = left.first(std::min(left.size(), kStatementKeysMax));
    add_key_chunk(database, connection, read, part);
    left = left.subspan(part.size());
  } while (!left.empty());
}

Status take_keys(Database& database, Connection& connection, SnapshotRead& read, os::Deadline deadline) {
  for (const std::size_t place : read.places) read.chunks.push_back(connection.take_rows(place));
  const int extra = read.with_canary ? 1 : 0;
  std::vector<SnapshotRead::Key*> in_order;
  in_order.reserve(read.keys.size());
  for (auto& [key, wanted] : read.keys) in_order.push_back(&wanted);
  for (std::size_t chunk = 0; chunk < read.chunks.size(); ++chunk) {
    const Rows& rows = read.chunks[chunk];
    int canary_row = -1;
    for (int row = 0; row < rows.count(); ++row) {
      const int ordinal = rows.int4(row, 0) - 1 - extra;
      if (ordinal < 0) {
        canary_row = row;
        continue;
      }
      SnapshotRead::Key& key = *in_order[chunk * kStatementKeysMax + static_cast<std::size_t>(ordinal)];
      key.row = row;
      key.chunk = chunk;
      database.clock().note(rows.time(row, 1 + StateColumns::kCount));
      read.note_expiry(rows.time(row, 1 + StateColumns::kExpires));
    }
    if (extra == 0) continue;
    const bool found = canary_row >= 0;
    TUSKV_RETURN_IF_ERROR(database.check_canary(
        connection, found, found ? rows.bytes(canary_row, 1 + StateColumns::kValue) : std::string_view(), deadline));
  }
  return {};
}

std::uint64_t version_of(const SnapshotRead& read, std::string_view key) {
  const SnapshotRead::Key& found = read.keys.at(key);
  return found.row < 0 ? 0 : read.chunks[found.chunk].version(found.row, 1 + StateColumns::kVersion);
}

constexpr std::uint64_t kNoMark = 0;

/// On a server that has crashed since, or on another one, the same mark can stand for other transactions; a session
/// that is older than the mark tells that it is not so, but not through a pooler.
std::uint64_t mark_for(const Connection& connection, const OptimisticTransaction& transaction) {
  const bool is_trusted = !connection.facts().through_pooler && connection.opened_us() <= transaction.validated_us;
  return is_trusted ? transaction.validated_at : kNoMark;
}
void note_mark(OptimisticTransaction& transaction, std::uint64_t mark, std::int64_t asked_us) {
  transaction.validated_at = mark;
  transaction.validated_us = asked_us;
}

/// Sums are kept modulo this and one, which is how fingerprints of pages add up.
constexpr std::uint64_t kFingerprintMask = (std::uint64_t{1} << 63) - 1;

struct FingerprintColumns {
  static constexpr int kMoved = 0, kCount = 1, kSum = 2, kExpires = 3;
};

/// `mark` is that of a snapshot in which the fingerprint is known.
std::size_t add_fingerprint(Database& database, Connection& connection, const Bounds& bounds, std::uint64_t mark) {
  Parameters parameters;
  parameters.add_bytes(bounds.from);
  parameters.add_bytes(bounds.to);
  parameters.add_int8(static_cast<std::int64_t>(mark));
  return connection.add(database.statements().fingerprint, parameters);
}

std::vector<std::size_t> add_fingerprints(Database& database, Connection& connection,
                                          const OptimisticTransaction& transaction) {
  std::vector<std::size_t> places;
  for (const auto& range : transaction.ranges) {
    const Bounds bounds = bounds_of({.from = range.from, .to = range.to});
    places.push_back(add_fingerprint(database, connection, bounds, mark_for(connection, transaction)));
  }
  return places;
}

bool ranges_hold(const Connection& connection, const OptimisticTransaction& transaction,
                 const std::vector<std::size_t>& places) {
  using Columns = FingerprintColumns;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Rows& rows = connection.rows(places[i]);
    const auto& range = transaction.ranges[i];
    if (!rows.boolean(0, Columns::kMoved)) continue;
    if (rows.version(0, Columns::kCount) != range.examined) return false;
    if (((rows.version(0, Columns::kSum) ^ range.fingerprint) & kFingerprintMask) != 0) return false;
  }
  return true;
}

bool keys_hold(const SnapshotRead& read, const OptimisticTransaction& transaction) {
  return std::all_of(transaction.reads.begin(), transaction.reads.end(),
                     [&](const auto& known) { return version_of(read, known.key) == known.version; });
}

/// Everything read before, in the snapshot that begins here. `more` are keys to be read for the first time.
Status read_snapshot(Database& database, Connection& connection, OptimisticTransaction& transaction, SnapshotRead& read,
                     bool ends, os::Deadline deadline) {
  read.with_canary = database.needs_canary(connection);
  read.places.clear();
  read.chunks.clear();
  read.live_until_us = transaction.ends_us;
  for (const auto& known : transaction.reads) read.keys.try_emplace(known.key);
  const Statements& statements = database.statements();
  // One statement is a snapshot of its own.
  const bool several = !ends || !transaction.ranges.empty() || read.keys.size() > kStatementKeysMax;
  if (several) connection.add(statements.begin_snapshot);
  database.add_settings(connection,
                        {.deadline = deadline, .is_small_read = !several && read.keys.size() <= kSmallReadKeys});
  if (!read.keys.empty() || read.with_canary) add_keys(database, connection, read);
  const std::vector<std::size_t> ranges = add_fingerprints(database, connection, transaction);
  const std::size_t mark = several && ends ? connection.add(statements.snapshot_mark) : 0;
  const std::size_t clock = several && ends ? connection.add(statements.clocks) : 0;
  if (several && ends) connection.add(statements.commit);
  connection.end_transaction();
  const std::int64_t asked_us = os::steady_us();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  bool hold = ranges_hold(connection, transaction, ranges);
  const std::int64_t now_us = several && ends ? connection.rows(clock).time(0, 0) : INT64_MIN;
  const std::uint64_t new_mark = several && ends ? connection.rows(mark).version(0, 0) : 0;
  TUSKV_RETURN_IF_ERROR(take_keys(database, connection, read, deadline));
  hold = hold && keys_hold(read, transaction) && read.live_until_us > database.liveness_us(now_us);
  if (!hold) return conflict();
  if (new_mark != kNoMark) note_mark(transaction, new_mark, asked_us);
  transaction.ends_us = read.live_until_us;
  return {};
}

Status read_keys(Database& database, Connection& connection, OptimisticTransaction& transaction, Unit& unit,
                 os::Deadline deadline) {
  SnapshotRead read;
  for (const Command& command : unit.commands) {
    const Read& wanted = std::get<Read>(command);
    SnapshotRead::Key& key = read.keys[wanted.key];
    key.wants_value = key.wants_value || wanted.want == Want::value;
  }
  TUSKV_RETURN_IF_ERROR(read_snapshot(database, connection, transaction, read, true, deadline));
  for (Command& command : unit.commands) {
    Read& wanted = std::get<Read>(command);
    const SnapshotRead::Key& key = read.keys.at(wanted.key);
    wanted.seen = {};
    if (key.row >= 0) fill_seen(read.chunks[key.chunk], key.row, 1, wanted.seen);
    if (wanted.want == Want::value) {
      wanted.into->assign(key.row < 0 ? std::string_view()
                                      : read.chunks[key.chunk].bytes(key.row, 1 + StateColumns::kValue));
    }
  }
  for (const Command& command : unit.commands) {
    const Read& done = std::get<Read>(command);
    transaction.reads.push_back({.key = std::string(done.key), .version = done.seen.version});
  }
  return {};
}

/// Ends the snapshot in which something of `bounds` was read; `place` is where their fingerprint will be.
Status end_range(Database& database, Connection& connection, OptimisticTransaction& transaction, SnapshotRead& read,
                 Bounds bounds, std::size_t place, os::Deadline deadline) {
  const std::size_t mark = connection.add(database.statements().snapshot_mark);
  const std::size_t clock = connection.add(database.statements().clocks);
  connection.add(database.statements().commit);
  connection.end_transaction();
  const std::int64_t asked_us = os::steady_us();
  Status status = connection.exchange(deadline);
  if (!status.ok()) {
    database.roll_back(connection, deadline);
    return status;
  }
  const Rows& rows = connection.rows(place);
  read.note_expiry(rows.time(0, FingerprintColumns::kExpires));
  if (read.live_until_us <= database.liveness_us(connection.rows(clock).time(0, 0))) return conflict();
  transaction.add({.from = std::move(bounds.from),
                   .to = std::move(bounds.to),
                   .examined = rows.version(0, FingerprintColumns::kCount),
                   .fingerprint = rows.version(0, FingerprintColumns::kSum) & kFingerprintMask});
  transaction.ends_us = read.live_until_us;
  note_mark(transaction, connection.rows(mark).version(0, 0), asked_us);
  return {};
}

Status read_page(Database& database, Connection& connection, OptimisticTransaction& transaction, Scan& scan,
                 os::Deadline deadline) {
  if (!can_match(database, scan)) {
    scan.entries.clear();
    scan.next.clear();
    return {};
  }
  SnapshotRead read;
  Status status = read_snapshot(database, connection, transaction, read, false, deadline);
  std::int64_t page_until_us = INT64_MAX;
  if (status.ok()) status = scan_page(database, connection, scan, deadline, page_until_us);
  if (!status.ok()) {
    database.roll_back(connection, deadline);
    return status;
  }
  read.note_expiry(page_until_us);
  Bounds bounds = examined_bounds(scan);
  const std::size_t place = add_fingerprint(database, connection, bounds, kNoMark);
  return end_range(database, connection, transaction, read, std::move(bounds), place, deadline);
}

Status read_count(Database& database, Connection& connection, OptimisticTransaction& transaction, Count& count,
                  os::Deadline deadline) {
  SnapshotRead read;
  Status status = read_snapshot(database, connection, transaction, read, false, deadline);
  if (!status.ok()) {
    database.roll_back(connection, deadline);
    return status;
  }
  Bounds bounds = bounds_of(count.range);
  // First, so that what lives by the time of the count has an end that the fingerprint tells.
  const std::size_t place = add_fingerprint(database, connection, bounds, kNoMark);
  const bool filtered = count.filter.kind != Filter::Kind::none;
  const std::size_t count_place = filtered ? add_count(database, connection, count, bounds) : place;
  TUSKV_RETURN_IF_ERROR(end_range(database, connection, transaction, read, std::move(bounds), place, deadline));
  const int column = filtered ? 0 : FingerprintColumns::kCount;
  count.count = static_cast<std::uint64_t>(connection.rows(count_place).int8(0, column));
  return {};
}

// ---- commit

std::vector<LockedRows::Key> keys_of(const OptimisticTransaction& transaction) {
  std::map<std::string_view, bool> wanted;
  for (const auto& read : transaction.reads) wanted.try_emplace(read.key, false);
  for (const auto& write : transaction.writes) wanted.try_emplace(write.key, false);
  std::vector<LockedRows::Key> keys;
  keys.reserve(wanted.size());
  for (const auto& [key, wants_value] : wanted) keys.push_back({.key = std::string(key), .wants_value = wants_value});
  return keys;
}

void plan_write(LockedRows& rows, OptimisticTransaction::KeyWrite& write) {
  using WriteKind = OptimisticTransaction::KeyWrite::Kind;
  const std::size_t index = rows.index_of(write.key);
  const EntryState& state = rows.row(index).state;
  PlannedChange change;
  if (write.kind == WriteKind::erase) {
    if (!state.found) return;
    change.kind = PlannedChange::Kind::erase;
  } else {
    if (write.kind == WriteKind::touch && !state.found) return;
    change.kind = write.kind == WriteKind::put ? PlannedChange::Kind::put : PlannedChange::Kind::touch;
    change.value = write.value;
    change.expires_us = write.expires_us;
    change.created_us = state.found && !write.restarts_created ? state.created_us : rows.now_us();
    change.updated_us = std::max(rows.now_us(), change.created_us);
  }
  write.version = rows.apply(index, change);
}

/// Whether what the lifetimes of the transaction were counted from was the server's clock, which said `now_us` at some
/// moment between the two of the steady clock. It is known from earlier answers alone, and since then the server can
/// have been replaced or its clock set, or this machine may have slept.
bool clock_holds(const OptimisticTransaction& transaction, std::int64_t now_us, std::int64_t before_us,
                 std::int64_t after_us) {
  return transaction.clock_ahead_us_min >= now_us - after_us - kClockErrorUsMax &&
         transaction.clock_ahead_us_max <= now_us - before_us + kClockErrorUsMax;
}

Status commit_writes(Database& database, Connection& connection, OptimisticTransaction& transaction,
                     const LockedRows::Options& options, std::optional<TableRequest> table) {
  const os::Deadline deadline = options.deadline;
  LockedRows rows(database, keys_of(transaction));
  const std::int64_t before_us = os::steady_us();
  TUSKV_RETURN_IF_ERROR(table ? rows.lock_with_table(connection, options, *table) : rows.lock(connection, options));
  if (!database.has_own_clock() && !clock_holds(transaction, rows.now_us(), before_us, os::steady_us())) {
    database.roll_back(connection, deadline);
    return Status(Code::Conflict, "the server's clock is not what the transaction took it for");
  }
  bool hold = std::all_of(transaction.reads.begin(), transaction.reads.end(), [&](const auto& read) {
    const EntryState& state = rows.row(rows.index_of(read.key)).state;
    return (state.found ? state.version : 0) == read.version;
  });
  if (hold && table) {
    const std::vector<std::size_t> places = add_fingerprints(database, connection, transaction);
    connection.end_transaction();
    Status status = connection.exchange(deadline).with_outcome(Outcome::not_applied);
    if (!status.ok()) {
      database.roll_back(connection, deadline);
      return status;
    }
    hold = ranges_hold(connection, transaction, places);
    rows.note_expiry(transaction.ends_us);
  }
  if (!hold) {
    database.roll_back(connection, deadline);
    return conflict();
  }
  for (auto& write : transaction.writes) plan_write(rows, write);
  rows.add_writes(connection);
  return rows.commit(connection, deadline);
}

}  // namespace

Status read_in_transaction(Database& database, OptimisticTransaction& transaction, Unit& unit) {
  const os::Deadline deadline = os::deadline_in(unit.timeout_ms);
  return database.run(Database::Effect::reads, deadline, [&](Connection& connection) {
    if (auto* scan = std::get_if<Scan>(&unit.commands.front())) {
      return read_page(database, connection, transaction, *scan, deadline);
    }
    if (auto* count = std::get_if<Count>(&unit.commands.front())) {
      return read_count(database, connection, transaction, *count, deadline);
    }
    return read_keys(database, connection, transaction, unit, deadline);
  });
}

Status commit_transaction(Database& database, OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  if (!transaction.writes.empty() && !transaction.ranges.empty()) {
    return database.run_with_table(deadline, [&](Connection& connection, TableRequest request) {
      return commit_writes(database, connection, transaction, {.deadline = deadline}, request);
    });
  }
  if (!transaction.writes.empty()) {
    return database.run_in_turns(deadline, [&](Connection& connection, std::int64_t lock_timeout_ms) {
      return commit_writes(database, connection, transaction,
                           {.deadline = deadline, .lock_timeout_ms = lock_timeout_ms}, std::nullopt);
    });
  }
  return database.run(Database::Effect::reads, deadline, [&](Connection& connection) {
    SnapshotRead read;
    return read_snapshot(database, connection, transaction, read, true, deadline);
  });
}

}  // namespace tuskv::postgres
