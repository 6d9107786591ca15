#include "postgres/postgres_engine.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "plan.h"
#include "postgres/listing.h"
#include "postgres/optimistic.h"
#include "postgres/refused_value.h"
#include "postgres/respelling.h"
#include "postgres/set_batch.h"
#include "postgres/written_out.h"

namespace tuskv::postgres {
namespace {

void fail(Unit& unit, Status status) { unit.failure = std::move(status).take(); }

template <class C>
bool is_a(const Command& command) {
  return std::holds_alternative<C>(command);
}

/// The way a unit of keyed commands goes.
Lane lane_of(const Unit& unit) {
  const auto all = [&](auto holds) { return std::all_of(unit.commands.begin(), unit.commands.end(), holds); };
  if (all(is_a<Read>)) return Lane::read;
  if (all([](const Command& command) { return is_a<Put>(command) && is_plain(command); })) return Lane::set;
  // An erase passes over keys that appear while it waits for others, which is right for one key; several keys of one
  // unit have to be erased at one moment.
  if (unit.commands.size() == 1 && is_a<Erase>(unit.commands.front()) && is_plain(unit.commands.front())) {
    return Lane::set;
  }
  return Lane::generic;
}

/// Of a listing that nobody waits for. Where each lane that may take long has a connection, one is left for the rest.
Lane lane_of_listing(const Unit& unit, const Options& options) {
  const bool is_apart = is_a<EraseRange>(unit.commands.front()) && options.pool_size >= kPoolPerRowTurn;
  return is_apart ? Lane::erasing : Lane::listing;
}

/// Whether a key is named twice by different units, once at least to be written: their order then counts.
bool share_written_keys(std::span<const Unit> units) {
  struct Named {
    std::string_view key;
    std::size_t unit;
    bool writes;
  };
  std::vector<Named> named;
  for (std::size_t i = 0; i < units.size(); ++i) {
    for (const Command& command : units[i].commands) {
      named.push_back({.key = command_key(command), .unit = i, .writes = is_keyed_write(command)});
    }
  }
  std::sort(named.begin(), named.end(), [](const Named& a, const Named& b) { return a.key < b.key; });
  for (std::size_t first = 0; first < named.size();) {
    std::size_t end = first;
    bool writes = false;
    bool several = false;
    for (; end < named.size() && named[end].key == named[first].key; ++end) {
      writes = writes || named[end].writes;
      several = several || named[end].unit != named[first].unit;
    }
    if (writes && several) return true;
    first = end;
  }
  return false;
}

BatcherOptions batcher_options(const Options& options) {
  return {.direct_callers = static_cast<std::uint32_t>(options.direct_callers),
          .batches = static_cast<std::uint32_t>(options.batches),
          .held_batches = static_cast<std::uint32_t>(RowTurns::turns_at_once(options.pool_size)),
          .listings = static_cast<std::uint32_t>(RowTurns::turns_at_once(options.pool_size)),
          .range_erases = static_cast<std::uint32_t>(RowTurns::turns_at_once(options.pool_size)),
          .batch_keys = options.batch_keys,
          .batch_bytes = options.batch_bytes};
}

}  // namespace

Result<std::unique_ptr<Engine>> PostgresEngine::open(const EngineOptions& options) {
  Result<Target> target = Target::parse(options.connection);
  if (!target.ok()) return std::move(target).status();
  Result<std::unique_ptr<Database>> database = Database::open({.target = std::move(target).value(),
                                                               .options = options.options,
                                                               .clock = options.clock,
                                                               .look_up_name = options.look_up_name});
  if (!database.ok()) return std::move(database).status();
  auto engine = std::make_unique<PostgresEngine>(std::move(database).value());
  if (options.options.ttl_mode == TtlMode::background) {
    TUSKV_RETURN_IF_ERROR(engine->sweeper_.start(
        {.interval_ms = options.options.sweep_interval.milliseconds(), .batch = options.options.sweep_batch}));
  }
  return std::unique_ptr<Engine>(std::move(engine));
}

PostgresEngine::PostgresEngine(std::unique_ptr<Database> database)
    : database_(std::move(database)),
      runner_(*database_),
      held_keys_(database_->row_turns()),
      batcher_(runner_, batcher_options(database_->options())),
      sweeper_([this](std::size_t batch) { return sweep(batch); }) {}

PostgresEngine::~PostgresEngine() { static_cast<void>(close()); }

Status PostgresEngine::check_open() const { return closed() ? closed_status() : Status(); }

Status PostgresEngine::check_unit(const Unit& unit) const {
  TUSKV_RETURN_IF_ERROR(check_open());
  if (keeps_bytes()) return {};
  for (const Command& command : unit.commands) {
    const auto* put = std::get_if<Put>(&command);
    if (put != nullptr) TUSKV_RETURN_IF_ERROR(check_written_out({.key = put->key, .value = put->value}));
  }
  return {};
}

// ---- units

void PostgresEngine::execute(std::span<Unit> units) {
  if (units.size() == 1) {
    execute_one(units.front());
  } else {
    execute_several(units);
  }
}

void PostgresEngine::execute_one(Unit& unit) {
  Status status = check_unit(unit);
  if (!status.ok()) return fail(unit, std::move(status));
  if (unit.commands.empty()) return;
  if (is_listing(unit)) return run_listing(*database_, unit, os::deadline_in(unit.timeout_ms));
  run_in_lane(lane_of(unit), std::span(&unit, 1));
}

void PostgresEngine::run_in_lane(Lane lane, std::span<Unit> units) {
  if (lane == Lane::read) return batcher_.execute(lane, units);
  const os::Deadline start = os::deadline_in(0);
  std::optional<os::Deadline> held_since;
  if (units.size() == 1) held_since = held_keys_.waited_for_since(only_key(units.front()));
  batcher_.execute(held_since ? Lane::held : lane, units, held_since);
  for (Unit& unit : units) {
    if (is_blocked(unit)) wait_for_row(unit, start + std::chrono::milliseconds(unit.timeout_ms));
  }
}

void PostgresEngine::wait_for_row(Unit& unit, os::Deadline deadline) {
  const std::string_view key = only_key(unit);
  const std::int64_t timeout_ms = unit.timeout_ms;
  const os::Deadline held_since = held_keys_.add(key);
  while (is_blocked(unit)) {
    const std::int64_t left_ms = os::time_left(deadline).count() / 1000;
    if (left_ms <= kLockTimeoutMs) break;  // no time for another turn
    unit.failure.reset();
    unit.timeout_ms = left_ms;
    batcher_.execute(Lane::held, std::span(&unit, 1), held_since);
  }
  held_keys_.remove(key);
  unit.timeout_ms = timeout_ms;
}

void PostgresEngine::execute_several(std::span<Unit> units) {
  const bool alike = std::all_of(units.begin(), units.end(), [this](const Unit& unit) {
    return !unit.commands.empty() && !is_listing(unit) && check_unit(unit).ok();
  });
  if (!alike) {
    for (Unit& unit : units) execute_one(unit);
    return;
  }
  if (share_written_keys(units)) return run_in_lane(Lane::generic, units);
  std::array<std::vector<std::size_t>, kLanes> of_lane;
  for (std::size_t i = 0; i < units.size(); ++i) of_lane[static_cast<std::size_t>(lane_of(units[i]))].push_back(i);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (of_lane[lane].empty()) continue;
    if (of_lane[lane].size() == units.size()) return run_in_lane(static_cast<Lane>(lane), units);
    std::vector<Unit> part;
    for (const std::size_t i : of_lane[lane]) part.push_back(std::move(units[i]));
    run_in_lane(static_cast<Lane>(lane), part);
    for (std::size_t i = 0; i < part.size(); ++i) units[of_lane[lane][i]] = std::move(part[i]);
  }
}

void PostgresEngine::submit(Submission& submission) {
  Unit& unit = submission.unit;
  Status status = check_unit(unit);
  if (!status.ok()) {
    fail(unit, std::move(status));
  } else if (!unit.commands.empty()) {
    if (is_listing(unit)) return batcher_.submit(lane_of_listing(unit, database_->options()), submission);
    const Lane lane = lane_of(unit);
    return lane == Lane::read ? batcher_.submit(lane, submission) : submit_write(lane, submission);
  }
  submission.done(submission);
}

/// A write on its way, for a caller who does not wait. When it meets a locked row it waits in Lane::held.
struct PostgresEngine::PendingWrite final : Submission {
  PostgresEngine* engine = nullptr;
  os::Deadline deadline = {};
  Submission* caller = nullptr;
  /// Its key is among the held ones.
  std::optional<os::Deadline> held_since = {};
};

void PostgresEngine::submit_write(Lane lane, Submission& submission) {
  auto pending = std::make_unique<PendingWrite>();
  pending->unit.commands = submission.unit.commands;
  pending->unit.require_all = submission.unit.require_all;
  pending->unit.timeout_ms = submission.unit.timeout_ms;
  pending->done = end_write;
  pending->engine = this;
  pending->deadline = os::deadline_in(submission.unit.timeout_ms);
  pending->caller = &submission;
  const std::optional<os::Deadline> held_since = held_keys_.waited_for_since(only_key(submission.unit));
  batcher_.submit(held_since ? Lane::held : lane, *pending.release(), held_since);
}

void PostgresEngine::end_write(Submission& submission) noexcept {
  auto& pending = static_cast<PendingWrite&>(submission);
  PostgresEngine& engine = *pending.engine;
  const std::int64_t left_ms = os::time_left(pending.deadline).count() / 1000;
  if (is_blocked(pending.unit) && left_ms > kLockTimeoutMs) {
    if (!pending.held_since) pending.held_since = engine.held_keys_.add(only_key(pending.unit));
    pending.unit.failure.reset();
    pending.unit.timeout_ms = left_ms;
    return engine.batcher_.submit(Lane::held, pending, pending.held_since);
  }
  if (pending.held_since) engine.held_keys_.remove(only_key(pending.unit));
  const std::unique_ptr<PendingWrite> owned(&pending);
  Submission& caller = *pending.caller;
  caller.unit.failure = std::move(pending.unit.failure);
  caller.done(caller);
}

// ---- transactions

Status PostgresEngine::read(OptimisticTransaction& transaction, Unit& unit) {
  TUSKV_RETURN_IF_ERROR(check_open());
  return read_in_transaction(*database_, transaction, unit);
}

Status PostgresEngine::commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_open());
  return commit_transaction(*database_, transaction, timeout_ms);
}

bool PostgresEngine::keeps_bytes() const { return database_->options().value_type != ValueType::jsonb; }

Status PostgresEngine::respell(std::span<const SpelledValue> values, std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(check_open());
  std::vector<std::string_view> documents;
  std::vector<GivenValue> given;
  for (const SpelledValue& spelled : values) {
    documents.emplace_back(*spelled.value);
    given.push_back({.key = spelled.key, .value = *spelled.value});
    TUSKV_RETURN_IF_ERROR(check_written_out(given.back()));
  }
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  Respelling respelling;
  Status status = database_->run(Database::Effect::reads, deadline, [&](Connection& connection) -> Status {
    database_->add_settings(connection, {.deadline = deadline, .is_small_read = documents.size() <= kSmallReadKeys});
    respelling.add(database_->statements(), connection, documents);
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
    respelling.take(connection);
    return {};
  });
  TUSKV_RETURN_IF_ERROR(explain_refused_value(*database_, given, std::move(status), deadline));
  for (std::size_t i = 0; i < values.size(); ++i) *values[i].value = respelling[i];
  return {};
}

}  // namespace tuskv::postgres
