#include "postgres/database.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "backoff.h"
#include "postgres/sqlstate.h"

namespace tuskv::postgres {
namespace {

/// Whether the same again can succeed, and cannot take effect twice.
bool may_run_again(const Failure& failure) {
  using Remedy = ErrorClass::Remedy;
  if (failure.outcome != Outcome::not_applied) return false;
  if (failure.sqlstate.empty()) return failure.code == Code::Connection;
  const Remedy remedy = classify(failure.sqlstate).remedy;
  return remedy == Remedy::retry || remedy == Remedy::reconnect || failure.code == Code::Connection;
}

/// A read waits for no row: the whole table is locked, by ALTER TABLE or the like, and will be free again.
bool is_locked_table(Database::Effect effect, const Failure& failure) {
  return effect == Database::Effect::reads && is_lock_timeout(failure);
}

/// With our table there, what the server misses is another one: somebody's trigger looks for it.
Status but_not_of_our_table(Status status) {
  if (status.ok() || status.failure().sqlstate != "42P01") return status;
  Failure failure = *std::move(status).take();
  failure.message = "a trigger of the table fails (" + failure.message + ")";
  failure.sqlstate = "09000";  // triggered_action_exception
  return Status(std::make_unique<Failure>(std::move(failure)));
}

/// No request for the table is begun that might not be answered before the deadline.
constexpr std::chrono::milliseconds kTableRequest(2 * kLockTimeoutMs);

std::string random_canary() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::random_device random;
  std::string text;
  for (int i = 0; i < 32; ++i) text += kDigits[random() % 16];
  return text;
}

}  // namespace

Status store_reset() {
  return Status(Code::StoreReset, "the server has emptied the UNLOGGED table: what was stored is gone");
}

Database::Database(Setup setup)
    : setup_(std::move(setup)),
      policy_(setup_.options.prepare),
      route_(setup_.target, {.look_up_name = setup_.look_up_name, .shuffles = setup_.target.shuffles_hosts()}),
      row_turns_(setup_.options.pool_size),
      pool_(setup_.options.pool_size, [this](os::Deadline deadline) { return connect(deadline); }) {}

Result<std::unique_ptr<Database>> Database::open(Setup setup) {
  auto database = std::make_unique<Database>(std::move(setup));
  TUSKV_RETURN_IF_ERROR(database->prepare_table());
  database->pool_.connect_on();
  return database;
}

/// JSON is UTF-8, and the server spells it in the encoding of its database.
Status Database::check_encoding(const Connection& connection) const {
  const std::string& encoding = connection.facts().encoding;
  if (setup_.options.value_type != ValueType::jsonb || encoding == "UTF8") return {};
  return Status(Code::Config,
                "value_type=jsonb needs a database with the encoding UTF8; that of this one is " + encoding);
}

Status Database::prepare_table() {
  const os::Deadline deadline = os::deadline_in(setup_.options.timeout.milliseconds());
  // A table that was made before the connection was lost is found by the next attempt: nothing happens twice.
  return run(Effect::reads, deadline, [&](Connection& connection) -> Status {
    TUSKV_RETURN_IF_ERROR(check_encoding(connection));
    Result<TableName> name = resolve_table(connection, setup_.options, deadline);
    if (!name.ok()) return std::move(name).status();
    TUSKV_RETURN_IF_ERROR(open_table(connection, name.value(), setup_.options, deadline));
    name_ = name.value();
    StatementOptions options{.table = name_.quoted(),
                             .value_type = setup_.options.value_type,
                             .expiry_disabled = setup_.options.ttl_mode == TtlMode::disabled};
    if (has_own_clock()) options.clock = setup_.clock;
    statements_ = std::make_unique<const Statements>(options);
    // The time is known from here on, whatever becomes of the server.
    const std::size_t place = connection.add(statements_->clocks);
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
    clock_.note(connection.rows(place).time(0, 0));
    return is_unlogged() ? but_not_of_our_table(look_for_canary(connection, deadline)) : Status();
  });
}

Result<std::unique_ptr<Connection>> Database::connect(os::Deadline deadline) {
  const std::int64_t timeout_ms = setup_.options.timeout.milliseconds();
  Result<std::unique_ptr<Connection>> connection =
      Connection::open({.route = route_,
                        .settings = {.synchronous_commit = setup_.options.durability == Durability::durable,
                                     .statement_timeout_ms = timeout_ms},
                        .policy = policy_,
                        .attempt_timeout_ms = timeout_ms},
                       deadline);
  if (connection.ok() && statements_ && is_unlogged()) {
    TUSKV_RETURN_IF_ERROR(look_for_canary(*connection.value(), deadline));
  }
  return connection;
}

Status Database::run(Effect effect, os::Deadline deadline, FunctionRef<Status(Connection&)> attempt, Caller caller) {
  Backoff backoff;
  for (std::size_t tries = 0;; ++tries) {
    Status status;
    {
      Result<Lease> lease = pool_.acquire(deadline);
      if (!lease.ok()) return std::move(lease).status().with_outcome(Outcome::not_applied);
      if (caller == Caller::user && reset_.load(std::memory_order_relaxed) && reset_.exchange(false)) {
        return store_reset();
      }
      status = attempt(*lease.value());
    }
    if (status.ok()) return status;
    if (effect == Effect::reads) status = std::move(status).with_outcome(Outcome::not_applied);
    const bool again = is_locked_table(effect, status.failure()) ||
                       (may_run_again(status.failure()) && tries < setup_.options.retries);
    if (!again || !backoff.pause(deadline)) return status;
  }
}

Status Database::run_in_turns(os::Deadline deadline,
                              FunctionRef<Status(Connection&, std::int64_t lock_timeout_ms)> attempt) {
  Status status =
      run(Effect::writes, deadline, [&](Connection& connection) { return attempt(connection, kLockTimeoutMs); });
  if (!is_lock_timeout(status)) return status;
  const RowTurns::Wait wait(row_turns_);
  while (is_lock_timeout(status) && os::time_left(deadline).count() / 1000 > kLockTimeoutMs) {
    status = run_turn(deadline, deadline, attempt);
  }
  return status;
}

Status Database::run_turn(os::Deadline patience, os::Deadline deadline,
                          FunctionRef<Status(Connection&, std::int64_t lock_timeout_ms)> attempt) {
  const RowTurns::Turn turn(row_turns_, patience);
  if (turn.lock_timeout_ms(patience, false) == 0) return row_is_held();
  bool through_pooler = false;
  Status status = run(Effect::writes, deadline, [&](Connection& connection) {
    through_pooler = connection.facts().through_pooler;
    const std::int64_t lock_timeout_ms = turn.lock_timeout_ms(patience, through_pooler);
    return lock_timeout_ms == 0 ? row_is_held() : attempt(connection, lock_timeout_ms);
  });
  if (through_pooler && is_lock_timeout(status)) turn.rest(patience);
  return status;
}

Status Database::run_with_table(os::Deadline deadline, FunctionRef<Status(Connection&, TableRequest)> attempt) {
  const os::Deadline last_request = deadline - kTableRequest;
  GrowingPause pause(kTablePauseMsFirst, kTablePauseMsMax);
  for (TableRequest request = TableRequest::at_once;;) {
    {
      TableTurns::Turn turn(table_turns_, last_request);
      if (!turn.taken()) return table_is_held();
      Status status =
          run(Effect::writes, deadline, [&](Connection& connection) { return attempt(connection, request); });
      if (!is_lock_timeout(status)) return status;
      turn.note_refusal();
    }
    if (os::time_left(last_request).count() == 0) return table_is_held();
    if (request == TableRequest::at_once) {
      request = TableRequest::patiently;
    } else {
      request = TableRequest::briefly;
      std::this_thread::sleep_until(std::min(os::deadline_in(pause.next_ms()), last_request));
    }
  }
}

void Database::add_table_lock(Connection& connection, TableRequest request, os::Deadline deadline,
                              const Statement& lock) const {
  if (request != TableRequest::at_once) {
    const std::int64_t left_ms = os::time_left(deadline - kTableRequest).count() / 1000;
    const std::int64_t longest_ms = request == TableRequest::patiently ? left_ms : std::min(left_ms, kLockTimeoutMs);
    connection.add_text("select pg_catalog.set_config('lock_timeout', least(" +
                        std::to_string(std::max<std::int64_t>(longest_ms, 1)) +
                        "::int8, (pg_catalog.date_part('epoch', pg_catalog.current_setting('deadlock_timeout')"
                        "::interval) * 1000::float8)::int8 + " +
                        std::to_string(kVacuumGraceMs) + "::int8)::text, true)");
    connection.add_text("lock table " + name_.quoted() + " in share update exclusive mode");
  }
  const auto limit_waits = [&connection](std::int64_t timeout_ms) {
    connection.add_text("select pg_catalog.set_config('lock_timeout', '" + std::to_string(timeout_ms) + "', true)");
  };
  limit_waits(kTableLockTimeoutMs);
  connection.add(lock);
  limit_waits(kLockTimeoutMs);
}

void Database::add_settings(Connection& connection, const Settings& settings) const {
  const std::int64_t left_ms = os::time_left(settings.deadline).count() / 1000 + 1;
  const std::int64_t session_ms = setup_.options.timeout.milliseconds();
  const bool through_pooler = connection.facts().through_pooler;
  // The connection of a call that has waited for its answer in vain is replaced, and the server must not go on with
  // both. A small read ends soon, whoever is left to receive it: telling it the time would cost it more.
  const bool is_shorter = left_ms + kAnswerGraceMs < session_ms;
  const bool is_longer = left_ms > session_ms + 1;
  const bool needed = settings.ends_early || settings.lock_timeout_ms != kLockTimeoutMs ||
                      (!settings.is_small_read && (through_pooler || is_shorter)) || (!through_pooler && is_longer);
  if (!needed) return;
  const bool ends_in_time = settings.ends_early || is_shorter || is_longer;
  const std::string statement_timeout = std::to_string(ends_in_time ? left_ms : session_ms);
  const std::string lock_timeout = std::to_string(settings.lock_timeout_ms);
  Parameters parameters;
  parameters.add_bytes(setup_.options.durability == Durability::durable ? "on" : "off");
  parameters.add_bytes(statement_timeout);
  parameters.add_bytes(lock_timeout);
  connection.add(through_pooler ? statements_->pooled_settings : statements_->settings, parameters);
}

void Database::roll_back(Connection& connection, os::Deadline deadline) const {
  if (connection.broken() || !connection.in_transaction()) return;
  connection.add(statements_->rollback);
  connection.end_transaction();
  static_cast<void>(connection.exchange(deadline));  // what is not idle afterwards is closed by the pool
}

// ---- the canary

std::size_t Database::add_canary_read(Connection& connection) const {
  const std::string key = canary_key();
  Parameters parameters;
  parameters.add_bytes(key);
  return connection.add(statements_->canary_read, parameters);
}

std::optional<std::size_t> Database::add_canary(Connection& connection) const {
  if (!needs_canary(connection)) return std::nullopt;
  return add_canary_read(connection);
}

Status Database::check_canary_at(Connection& connection, std::optional<std::size_t> place, os::Deadline deadline,
                                 Told told) {
  if (!place) return {};
  const Rows& rows = connection.rows(*place);
  const bool found = rows.count() > 0;
  return check_canary(connection, found, found ? rows.bytes(0, 0) : std::string_view(), deadline, told);
}

std::optional<std::size_t> Database::begin_write(Connection& connection, const Settings& settings) const {
  if (needs_canary(connection)) {
    connection.add(statements_->begin);
  } else {
    add_isolation(connection);
  }
  add_settings(connection, settings);
  return add_canary(connection);
}

Status Database::end_write(Connection& connection, std::optional<std::size_t> canary, os::Deadline deadline) {
  if (!canary) return {};
  TUSKV_RETURN_IF_ERROR(check_canary_at(connection, canary, deadline));
  connection.add(statements_->commit);
  connection.end_transaction();
  Status status = connection.exchange(deadline);
  if (!status.ok()) roll_back(connection, deadline);
  return status;
}

Status Database::look_for_canary(Connection& connection, os::Deadline deadline) {
  const std::size_t place = add_canary_read(connection);
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline).with_outcome(Outcome::not_applied));
  Status status = check_canary_at(connection, place, deadline, Told::next);
  if (status.ok() || status.failure().code != Code::StoreReset) return status;
  return {};  // the connection is fine
}

void Database::set_canary(std::string_view value, Told told) {
  // Several new connections may meet the emptied table, of which the first has told.
  if (told == Told::next && canary_ != value) reset_.store(true);
  canary_ = value;
}

Status Database::check_canary(Connection& connection, bool found, std::string_view value, os::Deadline deadline,
                              Told told) {
  if (found) {
    os::MutexLock lock(canary_mutex_);
    if (canary_ == value) return {};
    if (canary_.empty()) {
      canary_ = value;
      return {};
    }
    set_canary(value, told);
  }
  // Before a new one is put in: one that only reads could not, and with one that writes it would go again.
  roll_back(connection, deadline);
  if (!found) TUSKV_RETURN_IF_ERROR(replace_canary(connection, deadline, told).with_outcome(Outcome::not_applied));
  Status reset = store_reset();
  report(Event::Kind::store_reset, reset.failure().message);
  return reset;
}

Status Database::replace_canary(Connection& connection, os::Deadline deadline, Told told) {
  const std::string key = canary_key();
  std::string value = random_canary();
  if (setup_.options.value_type == ValueType::jsonb) value = '"' + value + '"';
  Parameters inserted;
  inserted.add_bytes(key);
  inserted.add_bytes(value);
  Parameters read;
  read.add_bytes(key);
  add_isolation(connection);
  connection.add(statements_->canary_insert, inserted);
  const std::size_t place = connection.add(statements_->canary_read, read);
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  const Rows& rows = connection.rows(place);
  os::MutexLock lock(canary_mutex_);
  set_canary(rows.count() > 0 ? rows.bytes(0, 0) : std::string_view(), told);
  return {};
}

void Database::report(Event::Kind kind, const std::string& message) const {
  if (setup_.options.on_event == nullptr) return;
  setup_.options.on_event(setup_.options.event_context, {.kind = kind, .message = message});
}

}  // namespace tuskv::postgres
