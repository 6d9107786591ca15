// The engine apart from units and transactions: time, expiry, statistics and the orderly end.
#include <algorithm>
#include <utility>

#include "own_keys.h"
#include "postgres/diagnosis.h"
#include "postgres/field_index.h"
#include "postgres/postgres_engine.h"

namespace tuskv::postgres {
namespace {

Status no_snapshots() {
  return Status(Code::Unsupported, "a postgresql: store has no snapshots of its own: use pg_dump or pg_basebackup");
}

/// Planner settings for statements that read the whole table.
constexpr const char* kWholeTableSettings =
    "select pg_catalog.set_config('enable_seqscan', 'on', true), pg_catalog.set_config('plan_cache_mode', 'auto', "
    "true)";

}  // namespace

std::int64_t PostgresEngine::now_us(std::int64_t timeout_ms) {
  if (!database_->has_own_clock()) {
    if (const std::optional<std::int64_t> now = database_->clock().now_us()) return *now;
  }
  std::int64_t now = 0;
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  const Status status = database_->run(
      Database::Effect::reads, deadline,
      [&](Connection& connection) -> Status {
        const std::size_t place = connection.add(database_->statements().clocks);
        connection.end_transaction();
        TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
        now = connection.rows(place).time(0, 0);
        database_->clock().note(now);
        return {};
      },
      Database::Caller::engine);
  // The time that is known since the store was opened is good enough until the server answers again.
  return status.ok() ? now : database_->clock().last_known_us();
}

// ---- expiry

Result<std::uint64_t> PostgresEngine::remove_expired(std::uint64_t limit, std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_open());
  if (database_->options().ttl_mode == TtlMode::disabled) return std::uint64_t{0};
  const std::uint64_t wanted = limit == 0 ? UINT64_MAX : limit;
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  std::uint64_t removed = 0;
  while (removed < wanted) {
    const auto batch = std::min<std::uint64_t>(database_->options().sweep_batch, wanted - removed);
    std::uint64_t swept = 0;
    Status status = database_->run(Database::Effect::writes, deadline, [&](Connection& connection) -> Status {
      Parameters parameters;
      parameters.add_int8(static_cast<std::int64_t>(batch));
      database_->add_isolation(connection);
      database_->add_settings(connection,
                              {.deadline = deadline, .lock_timeout_ms = Database::lock_timeout_until(deadline)});
      const std::size_t place = connection.add(database_->statements().cleanup, parameters);
      connection.end_transaction();
      TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
      swept = static_cast<std::uint64_t>(connection.rows(place).int8(0, 0));
      return {};
    });
    removed += swept;
    swept_.fetch_add(swept, std::memory_order_relaxed);
    if (!status.ok() && removed > 0) {
      if (status.failure().code == Code::Timeout) break;
      return std::move(status).with_outcome(Outcome::unknown);  // what has been removed is gone
    }
    TUSKV_RETURN_IF_ERROR(std::move(status));
    if (swept < batch) break;
  }
  return removed;
}

std::uint64_t PostgresEngine::sweep(std::size_t batch) {
  if (closed() || database_->options().ttl_mode == TtlMode::disabled) return 0;
  const os::Deadline deadline = os::deadline_in(database_->options().timeout.milliseconds());
  std::uint64_t swept = 0;
  const Status status = database_->run(
      Database::Effect::writes, deadline,
      [&](Connection& connection) -> Status {
        Parameters parameters;
        parameters.add_int8(static_cast<std::int64_t>(batch));
        parameters.add_int8(static_cast<std::int64_t>(batch * kSweepLookedAtFactor));
        database_->add_isolation(connection);
        database_->add_settings(connection,
                                {.deadline = deadline, .lock_timeout_ms = Database::lock_timeout_until(deadline)});
        const std::size_t place = connection.add(database_->statements().sweep, parameters);
        connection.end_transaction();
        TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
        swept = static_cast<std::uint64_t>(connection.rows(place).int8(0, 0));
        return {};
      },
      Database::Caller::engine);
  if (!status.ok() && status.failure().code != Code::Closed) {
    database_->report(Event::Kind::sweep_failed, status.failure().message);
  }
  swept_.fetch_add(swept, std::memory_order_relaxed);
  return swept;
}

Status PostgresEngine::set_sweeper(std::optional<EngineSweeperOptions> options) {
  TUSKV_RETURN_IF_ERROR(check_open());
  if (options) return sweeper_.start(*options);
  sweeper_.stop();
  return {};
}

// ---- statistics and syncing

Result<Stats> PostgresEngine::stats(std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_open());
  Stats stats;
  stats.engine = "postgresql";
  stats.durability = database_->options().durability;
  // The table, or its partitions.
  const std::string table = quoted_literal(database_->table().quoted());
  const std::string size_text = "select pg_catalog.pg_total_relation_size(" + table +
                                "::regclass) + coalesce((select pg_catalog.sum(pg_catalog.pg_total_relation_size("
                                "i.inhrelid)) from pg_catalog.pg_inherits i where i.inhparent = " +
                                table + "::regclass::oid)::int8, 0::int8)";
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  const Status status = database_->run(Database::Effect::reads, deadline, [&](Connection& connection) -> Status {
    Parameters parameters;
    parameters.add_bytes(kOwnKeysFrom);
    parameters.add_bytes(kOwnKeysTo);
    database_->add_settings(connection, {.deadline = deadline});
    connection.add_text(kWholeTableSettings);
    const std::size_t place = connection.add(database_->statements().stats, parameters);
    const std::size_t size_place = connection.add_text(size_text);
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
    const Rows& rows = connection.rows(place);
    stats.entries = rows.version(0, 0);
    stats.expired = rows.version(0, 1);
    stats.key_bytes = rows.version(0, 2);
    stats.value_bytes = rows.version(0, 3);
    stats.value_bytes_max = rows.version(0, 4);
    stats.sequence = rows.version(0, 5);
    stats.memory_bytes = connection.rows(size_place).version(0, 0);
    return {};
  });
  TUSKV_RETURN_IF_ERROR(status.clone());
  // What is answered is on the disk in `durable`; in `relaxed` what was answered before the last sync().
  if (stats.durability == Durability::durable) stats.synced_sequence = stats.sequence;
  if (stats.durability == Durability::relaxed) stats.synced_sequence = synced_.load(std::memory_order_relaxed);
  stats.swept = swept_.load(std::memory_order_relaxed) + runner_.swept();
  return stats;
}

Result<std::vector<Finding>> PostgresEngine::diagnose(std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_open());
  Result<DiagnosisFacts> facts = collect_facts(*database_, os::deadline_in(timeout_ms));
  if (!facts.ok()) return std::move(facts).status();
  return judge(facts.value(), database_->options());
}

Status PostgresEngine::sync(std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_open());
  if (database_->is_unlogged()) {
    return Status(Code::Unsupported, "nothing makes the contents of an UNLOGGED table survive a crash of the server");
  }
  if (database_->options().durability == Durability::durable) return {};
  // A commit that waits for its own log record waits for every one before it. Versions are times of
  // the server, so its clock says which.
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  return database_->run(Database::Effect::writes, deadline, [&](Connection& connection) -> Status {
    connection.add_text(
        "select pg_catalog.set_config('synchronous_commit', 'on', true), "
        "pg_catalog.set_config('client_min_messages', 'warning', true)");
    const std::size_t place = connection.add(database_->statements().clocks);
    connection.add_text("select pg_catalog.pg_logical_emit_message(true, 'tuskv', '')");
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline).with_outcome(Outcome::not_applied));
    synced_.store(connection.rows(place).version(0, 1), std::memory_order_relaxed);
    return {};
  });
}

// ---- indexes

Status PostgresEngine::check_indexable() const {
  TUSKV_RETURN_IF_ERROR(check_open());
  if (database_->options().value_type == ValueType::jsonb) return {};
  return Status(
      Code::Unsupported,
      "PostgreSQL looks into JSON where it is stored as such: only a table of value_type=jsonb has indexes on "
      "fields; here find_by_field reads the collection");
}

Result<bool> PostgresEngine::create_index(std::string_view field, std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_indexable());
  return postgres::create_index(*database_, field, os::deadline_in(timeout_ms));
}

Result<bool> PostgresEngine::drop_index(std::string_view field, std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_indexable());
  return postgres::drop_index(*database_, field, os::deadline_in(timeout_ms));
}

Result<std::vector<std::string>> PostgresEngine::indexes(std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_indexable());
  return indexed_fields(*database_, os::deadline_in(timeout_ms));
}

Result<SnapshotInfo> PostgresEngine::snapshot() {
  TUSKV_RETURN_IF_ERROR(check_open());
  return no_snapshots();
}

Result<std::vector<SnapshotInfo>> PostgresEngine::snapshots() {
  TUSKV_RETURN_IF_ERROR(check_open());
  return no_snapshots();
}

Result<std::size_t> PostgresEngine::prune_snapshots(std::size_t) {
  TUSKV_RETURN_IF_ERROR(check_open());
  return no_snapshots();
}

Status PostgresEngine::close() {
  os::MutexLock closing(close_mutex_);
  if (close_done_) return {};
  close_done_ = true;
  closed_.store(true, std::memory_order_release);
  batcher_.close();
  database_->close();
  sweeper_.stop();  // which may have waited for a connection until now
  return {};
}

}  // namespace tuskv::postgres
