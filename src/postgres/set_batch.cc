#include "postgres/set_batch.h"

#include <algorithm>
#include <utility>

#include "postgres/respelling.h"
#include "postgres/row_state.h"

namespace tuskv::postgres {
namespace {

void add_ttl_element(Parameters& parameters, const Put& put) {
  if (put.expiry.kind == Expiry::Kind::after) {
    parameters.element_int8(put.expiry.value);
  } else {
    parameters.element_null();
  }
}

/// The next keys that fit one statement.
std::size_t part_size(std::span<const Put* const> puts) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < puts.size() && count < kStatementKeysMax) {
    bytes += puts[count]->value.size();
    if (count > 0 && bytes > kStatementBytesMax) break;
    ++count;
  }
  return count;
}

}  // namespace

bool is_plain(const Command& command) {
  if (const auto* put = std::get_if<Put>(&command)) {
    return put->condition.kind == Condition::Kind::always && !put->want_previous &&
           (put->expiry.kind == Expiry::Kind::never || put->expiry.kind == Expiry::Kind::after);
  }
  const auto* erase = std::get_if<Erase>(&command);
  return erase != nullptr && erase->condition.kind == Condition::Kind::always;
}

Status SetBatch::run(Connection& connection, os::Deadline deadline, std::int64_t lock_timeout_ms) {
  const bool again = !failed_.empty();
  puts_.clear();
  erases_.clear();
  const Database::Settings settings{.deadline = deadline, .lock_timeout_ms = lock_timeout_ms};
  if (!fills_one_statement()) {
    const std::size_t place = connection.add(database_.statements().clocks);
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline).with_outcome(Outcome::not_applied));
    now_us_ = connection.rows(place).time(0, 0);
  }
  {
    const PinnedJobs pinned(jobs_);
    collect(pinned);
    if (again) forget_done();
    failed_.clear();
    if (puts_.empty() && erases_.empty()) return {};
    pinned.note_sent();
    if (!puts_.empty()) {
      database_.add_isolation(connection);
      database_.add_settings(connection, settings);
      add_puts(connection);
      connection.end_transaction();
    }
    if (!erases_.empty()) {
      canary_ = database_.begin_write(connection, settings);
      add_erases(connection);
      connection.end_transaction();
    }
  }
  Status status = connection.exchange(deadline);
  const auto ended_well = [&](std::size_t transaction) {
    return status.ok() ||
           (connection.transaction_ended(transaction) && connection.transaction_status(transaction).ok());
  };
  const bool puts_ended = puts_.empty() || ended_well(0);
  bool erases_ended = erases_.empty() || ended_well(puts_.empty() ? 0 : 1);
  if (puts_ended) answer_puts();
  if (!erases_.empty() && erases_ended) {
    Status erased = end_erases(connection, deadline);
    erases_ended = erased.ok();
    // Nothing runs again that may have happened, and a reset, which is met once, is told.
    const bool is_final =
        !erased.ok() && (erased.failure().outcome == Outcome::unknown || erased.failure().code == Code::StoreReset);
    if (is_final || status.ok()) status = std::move(erased);
  } else if (!erases_ended) {
    database_.roll_back(connection, deadline);
  }
  note_failed(!puts_ended, !erases_ended);
  return status;
}

bool SetBatch::fills_one_statement() const {
  std::size_t keys = 0;
  std::size_t bytes = 0;
  const PinnedJobs pinned(jobs_);
  for (std::size_t job = 0; job < jobs_.size(); ++job) {
    if (!pinned.holds(job)) continue;
    for (const Command& command : jobs_[job].unit->commands) {
      const auto* put = std::get_if<Put>(&command);
      if (put == nullptr) continue;
      ++keys;
      bytes += put->value.size();
    }
  }
  return keys <= kStatementKeysMax && (keys <= 1 || bytes <= kStatementBytesMax);
}

void SetBatch::collect(const PinnedJobs& pinned) {
  for (std::size_t job = 0; job < jobs_.size(); ++job) {
    if (!pinned.holds(job)) continue;
    for (Command& command : jobs_[job].unit->commands) {
      if (auto* put = std::get_if<Put>(&command)) {
        puts_.push_back({.job = job, .put = put});
      } else if (auto* erase = std::get_if<Erase>(&command)) {
        erases_.push_back({.job = job, .erase = erase});
      }
    }
  }
}

/// Leaves the jobs that failed in the attempt before.
void SetBatch::forget_done() {
  const auto is_done = [this](const auto& target) {
    return std::none_of(failed_.begin(), failed_.end(),
                        [&](const Job& job) { return job.unit == jobs_[target.job].unit; });
  };
  std::erase_if(puts_, is_done);
  std::erase_if(erases_, is_done);
}

void SetBatch::add_puts(Connection& connection) {
  if (puts_.size() == 1) {
    const Put& put = *puts_.front().put;
    Parameters parameters;
    parameters.add_bytes(put.key);
    parameters.add_bytes(put.value);
    if (put.expiry.kind == Expiry::Kind::after) {
      parameters.add_int8(put.expiry.value);
    } else {
      parameters.add_null();
    }
    connection.add(database_.statements().set_one, parameters);
    return;
  }
  std::vector<const Put*> sorted;
  sorted.reserve(puts_.size());
  for (const PutTarget& target : puts_) sorted.push_back(target.put);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Put* a, const Put* b) { return a->key < b->key; });
  if (database_.options().value_type == ValueType::jsonb) check_replaced(connection, sorted);
  std::vector<const Put*> last;
  for (const Put* put : sorted) {
    if (!last.empty() && last.back()->key == put->key) {
      last.back() = put;
    } else {
      last.push_back(put);
    }
  }
  std::span<const Put* const> left = last;
  while (!left.empty()) {
    const auto part = left.first(part_size(left));
    left = left.subspan(part.size());
    std::size_t value_bytes = 0;
    for (const Put* put : part) value_bytes += put->value.size();
    Parameters parameters;
    parameters.begin_array(kBytea, part.size());
    for (const Put* put : part) parameters.element(put->key);
    parameters.end_array();
    const bool json = database_.options().value_type == ValueType::jsonb;
    parameters.begin_array(json ? kText : kBytea, part.size(), value_bytes);
    for (const Put* put : part) parameters.element(put->value);
    parameters.end_array();
    parameters.begin_array(kInt8, part.size());
    for (const Put* put : part) add_ttl_element(parameters, *put);
    parameters.end_array();
    now_us_ ? parameters.add_time(*now_us_) : parameters.add_null();
    connection.add(database_.statements().set_many, parameters);
  }
}

/// A value that another one of the batch replaces is never sent to be stored. When it is no JSON its caller must be
/// told.
void SetBatch::check_replaced(Connection& connection, std::span<const Put* const> sorted) const {
  std::vector<std::string_view> replaced;
  for (std::size_t i = 0; i + 1 < sorted.size(); ++i) {
    if (sorted[i]->key == sorted[i + 1]->key) replaced.push_back(sorted[i]->value);
  }
  Respelling().add(database_.statements(), connection, replaced);
}

void SetBatch::add_erases(Connection& connection) {
  erase_chunks_.clear();
  erases_one_ = erases_.size() == 1;
  const bool wants_value = std::any_of(erases_.begin(), erases_.end(),
                                       [](const EraseTarget& target) { return target.erase->want_previous; });
  if (erases_one_) {
    erases_.front().first = true;
    Parameters parameters;
    parameters.add_bytes(erases_.front().erase->key);
    parameters.add_bool(wants_value);
    erase_chunks_.push_back({.place = connection.add(database_.statements().erase_one, parameters), .keys = 1});
    return;
  }
  std::vector<EraseTarget*> sorted;
  sorted.reserve(erases_.size());
  for (EraseTarget& target : erases_) sorted.push_back(&target);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const EraseTarget* a, const EraseTarget* b) { return a->erase->key < b->erase->key; });
  std::vector<const EraseTarget*> distinct;
  for (EraseTarget* target : sorted) {
    target->first = distinct.empty() || distinct.back()->erase->key != target->erase->key;
    if (target->first) distinct.push_back(target);
    target->ordinal = distinct.size() - 1;
  }
  for (std::size_t first = 0; first < distinct.size(); first += kStatementKeysMax) {
    const std::size_t count = std::min(kStatementKeysMax, distinct.size() - first);
    Parameters parameters;
    parameters.begin_array(kBytea, count);
    for (std::size_t i = first; i < first + count; ++i) parameters.element(distinct[i]->erase->key);
    parameters.end_array();
    parameters.add_bool(wants_value);
    erase_chunks_.push_back(
        {.place = connection.add(database_.statements().erase_many, parameters), .first = first, .keys = count});
  }
}

void SetBatch::answer_puts() {
  const PinnedJobs pinned(jobs_);
  for (const PutTarget& target : puts_) {
    if (pinned.holds(target.job)) target.put->applied = true;
  }
}

Status SetBatch::end_erases(Connection& connection, os::Deadline deadline) {
  for (Chunk& chunk : erase_chunks_) chunk.rows = connection.take_rows(chunk.place);
  TUSKV_RETURN_IF_ERROR(database_.end_write(connection, canary_, deadline));
  answer_erases();
  return {};
}

void SetBatch::answer_erases() {
  std::vector<int> row_of;
  for (const Chunk& chunk : erase_chunks_) {
    row_of.resize(chunk.first + chunk.keys, -1);
    for (int row = 0; row < chunk.rows.count(); ++row) {
      row_of[chunk.first + (erases_one_ ? 0 : static_cast<std::size_t>(chunk.rows.int4(row, 0) - 1))] = row;
    }
  }
  const PinnedJobs pinned(jobs_);
  for (const EraseTarget& target : erases_) {
    if (pinned.holds(target.job)) answer_erase(target, row_of);
  }
}

void SetBatch::answer_erase(const EraseTarget& target, const std::vector<int>& row_of) {
  const int live_column = erases_one_ ? 0 : 1;
  target.erase->applied = true;
  target.erase->seen = {};
  const int row = row_of[target.ordinal];
  const Rows& rows = erase_chunks_[target.ordinal / kStatementKeysMax].rows;
  if (row < 0 || !target.first || !rows.boolean(row, live_column)) return;
  fill_seen(rows, row, live_column + 1, target.erase->seen);
  if (target.erase->want_previous) target.erase->seen.value = rows.bytes(row, live_column + 1 + StateColumns::kValue);
}

void SetBatch::note_failed(bool puts, bool erases) {
  std::vector<bool> is_failed(jobs_.size());
  for (const PutTarget& target : puts_) is_failed[target.job] = puts;
  for (const EraseTarget& target : erases_) is_failed[target.job] = is_failed[target.job] || erases;
  for (std::size_t job = 0; job < jobs_.size(); ++job) {
    if (is_failed[job]) failed_.push_back(jobs_[job]);
  }
}

}  // namespace tuskv::postgres
