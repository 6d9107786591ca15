#include "postgres/planned_batch.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "postgres/row_state.h"

namespace tuskv::postgres {
namespace {

bool compares_value(const Condition& condition) {
  return condition.kind == Condition::Kind::equals || condition.kind == Condition::Kind::version;
}

/// Whether planning or answering takes the bytes of the entry.
bool needs_value(const Command& command) {
  if (const auto* read = std::get_if<Read>(&command)) return read->want == Want::value;
  if (const auto* put = std::get_if<Put>(&command)) return put->want_previous || compares_value(put->condition);
  if (const auto* erase = std::get_if<Erase>(&command)) return erase->want_previous || compares_value(erase->condition);
  if (const auto* touch = std::get_if<Touch>(&command)) {
    return touch->want == Want::value || compares_value(touch->condition);
  }
  return true;
}

/// Whether the command can make an entry where there is none.
bool can_create(const Command& command) {
  if (const auto* put = std::get_if<Put>(&command)) {
    return put->condition.kind == Condition::Kind::always || put->condition.kind == Condition::Kind::absent;
  }
  return std::holds_alternative<Add>(command);
}

/// The largest step of the statement for counters: sums stay far from the ends of 64 bits.
constexpr std::uint64_t kLoneStepMax = 100'000'000'000'000'000;

}  // namespace

Status PlannedBatch::run(Connection& connection, os::Deadline deadline, std::int64_t lock_timeout_ms) {
  failures_.clear();
  failures_.resize(jobs_.size());
  if (!database_.needs_canary(connection) && is_lone_add()) {
    Result<bool> done = run_add(connection, deadline, lock_timeout_ms);
    if (!done.ok()) return std::move(done).status();
    if (done.value()) return {};
  }
  bool creates = false;
  std::vector<LockedRows::Key> keys = collect(creates);
  if (keys.empty()) return {};
  LockedRows rows(database_, std::move(keys));
  const std::vector<std::string_view> given(given_.begin(), given_.end());
  TUSKV_RETURN_IF_ERROR(rows.lock(
      connection, {.deadline = deadline, .lock_timeout_ms = lock_timeout_ms, .creates = creates, .given = given}));
  {
    const PinnedJobs pinned(jobs_);
    pinned.note_sent();
    plan_jobs(rows, pinned);
    rows.add_writes(connection);
  }
  TUSKV_RETURN_IF_ERROR(rows.commit(connection, deadline));
  deliver_failures();
  return {};
}

/// Those first that expect the entry to be as they have read it: all callers are here at the same time, so any order is
/// right, and in any other one they would hardly ever succeed beside others that write the key.
void PlannedBatch::plan_jobs(LockedRows& rows, const PinnedJobs& pinned) {
  for (const bool expecting : {true, false}) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (!pinned.holds(i) || expects_version(i) != expecting) continue;
      Status status = plan_unit(rows, *jobs_[i].unit);
      if (!status.ok()) failures_[i] = std::move(status).take();
    }
  }
}

/// A unit of one command under the condition of a version, and the only one of its caller.
bool PlannedBatch::expects_version(std::size_t job) const {
  const Unit& unit = *jobs_[job].unit;
  if (unit.commands.size() != 1 || jobs_[job].member->units().size() != 1) return false;
  const Command& command = unit.commands.front();
  if (const auto* put = std::get_if<Put>(&command)) return put->condition.kind == Condition::Kind::version;
  const auto* erase = std::get_if<Erase>(&command);
  return erase != nullptr && erase->condition.kind == Condition::Kind::version;
}

std::vector<LockedRows::Key> PlannedBatch::collect(bool& creates) {
  std::map<std::string_view, bool> wanted;
  const PinnedJobs pinned(jobs_);
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (!pinned.holds(i)) continue;
    // Several keys of one unit are judged at one moment, so absent ones must stay absent until the end.
    creates = creates || jobs_[i].unit->commands.size() > 1;
    for (const Command& command : jobs_[i].unit->commands) {
      bool& wants_value = wanted[command_key(command)];
      wants_value = wants_value || needs_value(command);
      creates = creates || can_create(command);
    }
  }
  if (database_.options().value_type == ValueType::jsonb) note_given(pinned);
  std::vector<LockedRows::Key> keys;
  keys.reserve(wanted.size());
  for (const auto& [key, wants_value] : wanted) keys.push_back({.key = std::string(key), .wants_value = wants_value});
  return keys;
}

void PlannedBatch::note_given(const PinnedJobs& pinned) {
  given_.clear();
  given_by_.clear();
  std::map<std::string_view, std::vector<const Command*>> of_key;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (!pinned.holds(i)) continue;
    for (const Command& command : jobs_[i].unit->commands) of_key[command_key(command)].push_back(&command);
  }
  for (const auto& [key, commands] : of_key) {
    if (commands.size() == 1) continue;
    for (const Command* command : commands) {
      const auto* put = std::get_if<Put>(command);
      if (put == nullptr) continue;
      given_by_.emplace(command, given_.size());
      given_.emplace_back(put->value);
    }
  }
}

std::string_view PlannedBatch::as_kept(const LockedRows& rows, const Command& command, std::string_view value) const {
  const auto given = given_by_.find(&command);
  return given == given_by_.end() ? value : rows.respelled(given->second);
}

Status PlannedBatch::plan_unit(LockedRows& rows, Unit& unit) const {
  std::vector<std::pair<std::size_t, LockedRows::Row>> before;
  bool all_applied = true;
  Status status;
  for (Command& command : unit.commands) {
    const std::size_t index = rows.index_of(command_key(command));
    PlannedChange change;
    status = plan(rows.row(index).state, command, rows.now_us(), change);
    if (!status.ok()) break;
    all_applied = all_applied && is_applied(command);
    if (change.kind == PlannedChange::Kind::none) continue;
    before.emplace_back(index, rows.row(index));
    if (change.kind == PlannedChange::Kind::put) change.value = as_kept(rows, command, change.value);
    set_version(command, rows.apply(index, change));
  }
  if (status.ok() && (all_applied || !unit.require_all)) return {};
  while (!before.empty()) {
    rows.row(before.back().first) = before.back().second;
    before.pop_back();
  }
  for (Command& command : unit.commands) clear_applied(command);
  return status;
}

void PlannedBatch::deliver_failures() {
  const PinnedJobs pinned(jobs_);
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (failures_[i] && pinned.holds(i)) jobs_[i].unit->failure = std::move(failures_[i]);
  }
}

// ---- a lone counter

bool PlannedBatch::is_lone_add() const {
  if (jobs_.size() != 1) return false;
  const PinnedJobs pinned(jobs_);
  if (!pinned.holds(0) || jobs_.front().unit->commands.size() != 1) return false;
  const auto* add = std::get_if<Add>(&jobs_.front().unit->commands.front());
  return add != nullptr && add->magnitude <= kLoneStepMax && add->min == INT64_MIN && add->max == INT64_MAX &&
         (add->if_created.kind == Expiry::Kind::never || add->if_created.kind == Expiry::Kind::after);
}

Result<bool> PlannedBatch::run_add(Connection& connection, os::Deadline deadline, std::int64_t lock_timeout_ms) {
  std::size_t place = 0;
  {
    const PinnedJobs pinned(jobs_);
    if (!pinned.holds(0)) return true;
    pinned.note_sent();
    const Add& add = std::get<Add>(jobs_.front().unit->commands.front());
    const auto step = static_cast<std::int64_t>(add.magnitude);
    Parameters parameters;
    parameters.add_bytes(add.key);
    parameters.add_int8(add.negative ? -step : step);
    if (add.if_created.kind == Expiry::Kind::after) {
      parameters.add_int8(add.if_created.value);
    } else {
      parameters.add_null();
    }
    database_.add_isolation(connection);
    database_.add_settings(connection, {.deadline = deadline, .lock_timeout_ms = lock_timeout_ms});
    place = connection.add(database_.statements().increment, parameters);
    connection.end_transaction();
  }
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  const Rows& rows = connection.rows(place);
  if (rows.count() == 0) return false;
  const PinnedJobs pinned(jobs_);
  if (!pinned.holds(0)) return true;
  auto& add = std::get<Add>(jobs_.front().unit->commands.front());
  add.applied = true;
  add.value = rows.int8(0, 0);
  add.version = rows.version(0, 1);
  add.expires_us = rows.time(0, 2);
  std::to_chars(add.digits, add.digits + sizeof add.digits, add.value);
  return true;
}

}  // namespace tuskv::postgres
