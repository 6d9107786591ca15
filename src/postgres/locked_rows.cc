#include "postgres/locked_rows.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "postgres/row_state.h"

namespace tuskv::postgres {
namespace {

constexpr int kFoundColumn = 1;
constexpr int kStateColumn = 2;

/// As statements do it; see statements.h.
std::uint64_t next_version(std::uint64_t present, std::uint64_t clock) {
  constexpr std::uint64_t kProcessBits = 10;
  constexpr std::uint64_t kProcess = (std::uint64_t{1} << kProcessBits) - 1;
  return std::max(clock, ((present >> kProcessBits) + 1) << kProcessBits | (clock & kProcess));
}

void add_time_or_null(Parameters& parameters, std::int64_t us) {
  us == 0 ? parameters.element_null() : parameters.element_time(us);
}

void add_bucket_or_null(Parameters& parameters, std::int64_t us) {
  us == 0 ? parameters.element_null() : parameters.element_int4(expiry_bucket(us));
}

/// What Statements::still_before fails with.
constexpr std::string_view kCameTooLate = "2201W";

Status expired_meanwhile() {
  return Status(std::make_unique<Failure>(Failure{.code = Code::Conflict,
                                                  .message = "an entry expired between being found and being changed",
                                                  .sqlstate = std::string(kCameTooLate)}));
}

}  // namespace

Status LockedRows::lock(Connection& connection, const Options& options) {
  return lock_rows(connection, options, std::nullopt);
}

Status LockedRows::lock_with_table(Connection& connection, const Options& options, TableRequest request) {
  return lock_rows(connection, options, request);
}

Status LockedRows::lock_rows(Connection& connection, const Options& options, std::optional<TableRequest> table) {
  with_canary_ = database_.needs_canary(connection);
  places_.clear();
  results_.clear();
  const Statements& statements = database_.statements();
  connection.add(statements.begin);
  database_.add_settings(connection, {.deadline = options.deadline, .lock_timeout_ms = options.lock_timeout_ms});
  respelling_.add(statements, connection, options.given);
  // Every lock on the table is taken before any on its rows. The statement that locks present rows alone would take the
  // one for writing only when it comes to write, and wait for a transaction that has the table and wants the rows.
  if (table) database_.add_table_lock(connection, *table, options.deadline, statements.lock_table);
  if (!table && !options.creates) connection.add(statements.announce_writes);
  const std::span<const Key> all = keys_;
  for (std::size_t first = 0; first < all.size(); first += kStatementKeysMax) {
    add_lock(connection, options, all.subspan(first, std::min(kStatementKeysMax, all.size() - first)));
  }
  clock_place_ = connection.add(statements.clocks);
  connection.end_transaction();
  Status status = connection.exchange(options.deadline).with_outcome(Outcome::not_applied);
  if (status.ok()) status = read_rows(connection, options);
  if (!status.ok()) database_.roll_back(connection, options.deadline);
  return status;
}

void LockedRows::add_lock(Connection& connection, const Options& options, std::span<const Key> part) {
  const Statements& statements = database_.statements();
  const std::string canary = with_canary_ ? canary_key() : std::string();
  const std::size_t extra = with_canary_ ? 1 : 0;
  Parameters locked;
  locked.begin_array(kBytea, part.size());
  for (const Key& key : part) locked.element(key.key);
  locked.end_array();
  if (options.creates) connection.add(statements.lock, locked);
  Parameters read;
  read.begin_array(kBytea, part.size() + extra);
  if (with_canary_) read.element(canary);
  for (const Key& key : part) read.element(key.key);
  read.end_array();
  read.begin_array(kBool, part.size() + extra);
  if (with_canary_) read.element_bool(true);
  for (const Key& key : part) read.element_bool(key.wants_value);
  read.end_array();
  places_.push_back(connection.add(options.creates ? statements.state : statements.lock_state, read));
}

Status LockedRows::read_rows(Connection& connection, const Options& options) {
  now_us_ = connection.rows(clock_place_).time(0, 0);
  version_clock_ = connection.rows(clock_place_).version(0, 1);
  database_.clock().note(now_us_);
  respelling_.take(connection);
  for (const std::size_t place : places_) results_.push_back(connection.take_rows(place));
  rows_.assign(keys_.size(), {});
  const std::int64_t liveness_us = database_.liveness_us(now_us_);
  const int extra = with_canary_ ? 1 : 0;
  for (std::size_t chunk = 0; chunk < results_.size(); ++chunk) {
    const Rows& rows = results_[chunk];
    bool canary_found = false;
    for (int row = 0; row < rows.count(); ++row) {
      if (!rows.boolean(row, kFoundColumn)) continue;
      const int ordinal = rows.int4(row, 0) - 1 - extra;
      if (ordinal < 0) {
        canary_found = true;
        TUSKV_RETURN_IF_ERROR(database_.check_canary(
            connection, true, rows.bytes(row, kStateColumn + StateColumns::kValue), options.deadline));
        continue;
      }
      Row& known = rows_[chunk * kStatementKeysMax + static_cast<std::size_t>(ordinal)];
      known.state = entry_state(rows, row, kStateColumn, liveness_us);
      known.is_stored = true;
      known.version = rows.version(row, kStateColumn + StateColumns::kVersion);
      known.is_guard = known.version == 0;
      if (known.state.found) note_expiry(known.state.expires_us);
    }
    if (with_canary_ && !canary_found) {
      TUSKV_RETURN_IF_ERROR(database_.check_canary(connection, false, {}, options.deadline));
    }
  }
  return {};
}

std::size_t LockedRows::index_of(std::string_view key) const {
  const auto found =
      std::lower_bound(keys_.begin(), keys_.end(), key, [](const Key& a, std::string_view b) { return a.key < b; });
  return static_cast<std::size_t>(found - keys_.begin());
}

std::uint64_t LockedRows::apply(std::size_t index, const PlannedChange& change) {
  using Kind = PlannedChange::Kind;
  Row& row = rows_[index];
  row.version = next_version(row.version, version_clock_);
  if (change.kind == Kind::erase) {
    row.change = Kind::erase;
    row.state = {};
    return row.version;
  }
  // A touch of what will be put changes what is put.
  const bool puts = change.kind == Kind::put || row.change == Kind::put;
  row.change = puts ? Kind::put : Kind::touch;
  if (change.kind == Kind::put) row.value = row.state.value = change.value;
  row.state.found = true;
  row.state.version = row.version;
  row.state.expires_us = change.expires_us;
  row.state.created_us = change.created_us;
  row.state.updated_us = change.updated_us;
  return row.version;
}

bool LockedRows::changes_anything() const {
  return std::any_of(rows_.begin(), rows_.end(), [](const Row& row) {
    return row.change == PlannedChange::Kind::erase ? row.is_stored && !row.is_guard
                                                    : row.change != PlannedChange::Kind::none;
  });
}

// ---- writing

void LockedRows::add_writes(Connection& connection) {
  using Kind = PlannedChange::Kind;
  writes_ = changes_anything();
  if (!writes_) {
    connection.add(database_.statements().rollback);
    connection.end_transaction();
    return;
  }
  std::vector<std::size_t> puts;
  std::vector<std::size_t> touches;
  std::vector<std::size_t> erases;
  std::size_t put_bytes = 0;
  const auto flush = [this, &connection](std::vector<std::size_t>& rows, auto add) {
    if (!rows.empty()) (this->*add)(connection, rows);
    rows.clear();
  };
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    if (row.change == Kind::put) {
      if (put_bytes + row.value.size() > kStatementBytesMax || puts.size() == kStatementKeysMax) {
        flush(puts, &LockedRows::add_puts);
        put_bytes = 0;
      }
      put_bytes += row.value.size();
      puts.push_back(i);
    } else if (row.change == Kind::touch) {
      touches.push_back(i);
      if (touches.size() == kTouchedKeysMax) flush(touches, &LockedRows::add_touches);
    } else if (row.is_guard || (row.change == Kind::erase && row.is_stored)) {
      erases.push_back(i);
      if (erases.size() == kStatementKeysMax) flush(erases, &LockedRows::add_erases);
    }
  }
  flush(puts, &LockedRows::add_puts);
  flush(touches, &LockedRows::add_touches);
  flush(erases, &LockedRows::add_erases);
  if (judged_until_us_ != INT64_MAX && !database_.ignores_expiry()) {
    Parameters judged_until;
    judged_until.add_time(judged_until_us_);
    connection.add(database_.statements().still_before, judged_until);
  }
  connection.add(database_.statements().commit);
  connection.end_transaction();
}

Status LockedRows::commit(Connection& connection, os::Deadline deadline) {
  Status status = connection.exchange(deadline);
  if (!status.ok()) database_.roll_back(connection, deadline);
  if (!status.ok() && status.failure().sqlstate == kCameTooLate) return expired_meanwhile();
  if (!writes_) return std::move(status).with_outcome(Outcome::not_applied);
  return status;
}

void LockedRows::add_puts(Connection& connection, std::span<const std::size_t> rows) {
  std::size_t value_bytes = 0;
  for (const std::size_t i : rows) value_bytes += rows_[i].value.size();
  const bool json = database_.options().value_type == ValueType::jsonb;
  const auto array = [&](Parameters& parameters, unsigned type, std::size_t bytes, auto element) {
    parameters.begin_array(type, rows.size(), bytes);
    for (const std::size_t i : rows) element(i);
    parameters.end_array();
  };
  Parameters parameters;
  array(parameters, kBytea, 0, [&](std::size_t i) { parameters.element(keys_[i].key); });
  array(parameters, json ? kText : kBytea, value_bytes, [&](std::size_t i) { parameters.element(rows_[i].value); });
  array(parameters, kTimestamptz, 0, [&](std::size_t i) { add_time_or_null(parameters, rows_[i].state.expires_us); });
  array(parameters, kInt4, 0, [&](std::size_t i) { add_bucket_or_null(parameters, rows_[i].state.expires_us); });
  array(parameters, kTimestamptz, 0, [&](std::size_t i) { parameters.element_time(rows_[i].state.created_us); });
  array(parameters, kTimestamptz, 0, [&](std::size_t i) { parameters.element_time(rows_[i].state.updated_us); });
  array(parameters, kInt8, 0,
        [&](std::size_t i) { parameters.element_int8(static_cast<std::int64_t>(rows_[i].version)); });
  connection.add(database_.statements().put, parameters);
}

void LockedRows::add_touches(Connection& connection, std::span<const std::size_t> rows) {
  const auto array = [&](Parameters& parameters, unsigned type, auto element) {
    parameters.begin_array(type, rows.size());
    for (const std::size_t i : rows) element(i);
    parameters.end_array();
  };
  Parameters parameters;
  array(parameters, kBytea, [&](std::size_t i) { parameters.element(keys_[i].key); });
  array(parameters, kTimestamptz, [&](std::size_t i) { add_time_or_null(parameters, rows_[i].state.expires_us); });
  array(parameters, kInt4, [&](std::size_t i) { add_bucket_or_null(parameters, rows_[i].state.expires_us); });
  array(parameters, kTimestamptz, [&](std::size_t i) { parameters.element_time(rows_[i].state.updated_us); });
  array(parameters, kInt8,
        [&](std::size_t i) { parameters.element_int8(static_cast<std::int64_t>(rows_[i].version)); });
  connection.add(database_.statements().touch, parameters);
}

void LockedRows::add_erases(Connection& connection, std::span<const std::size_t> rows) {
  Parameters parameters;
  parameters.begin_array(kBytea, rows.size());
  for (const std::size_t i : rows) parameters.element(keys_[i].key);
  parameters.end_array();
  connection.add(database_.statements().erase, parameters);
}

}  // namespace tuskv::postgres
