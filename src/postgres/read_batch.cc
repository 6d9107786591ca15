#include "postgres/read_batch.h"

#include <algorithm>
#include <limits>

#include "postgres/row_state.h"

namespace tuskv::postgres {
namespace {

void answer_absent(Read& read) {
  read.seen = {};
  if (read.into != nullptr && read.want == Want::value) read.into->clear();
}

/// Alone it comes without the rest of the entry: a quarter less work for a batch.
bool wants_value_alone(const Read& read) { return read.want == Want::value && !read.stamps; }

void answer(Read& read, const Rows& rows, int row, int first_column) {
  if (wants_value_alone(read)) {
    read.seen = {.found = true};
  } else {
    fill_seen(rows, row, first_column, read.seen);
  }
  if (read.want == Want::value) read.into->assign(rows.bytes(row, first_column + StateColumns::kValue));
}

}  // namespace

bool ReadBatch::is_single() const { return jobs_.size() == 1 && jobs_.front().unit->commands.size() == 1; }

Status ReadBatch::run(Connection& connection, os::Deadline deadline) {
  with_canary_ = database_.needs_canary(connection);
  large_.clear();
  missing_.clear();
  bool single = false;
  {
    const PinnedJobs pinned(jobs_.first(1));
    single = pinned.holds(0) && is_single();
  }
  if (single && !with_canary_) {
    TUSKV_RETURN_IF_ERROR(run_single(connection, deadline));
  } else {
    collect(connection, deadline);
    if (chunks_.empty()) return {};  // nobody waits any more
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
    TUSKV_RETURN_IF_ERROR(index_rows(connection, deadline));
    fill_replies();
  }
  return missing_.empty() ? Status() : erase_dead(connection, deadline);
}

const Statement& ReadBatch::statement_for_one(const Read& read) const {
  const Statements& statements = database_.statements();
  if (wants_value_alone(read)) return statements.read_value;
  return read.want == Want::value ? statements.read_one : statements.read_meta;
}

Status ReadBatch::run_single(Connection& connection, os::Deadline deadline) {
  std::size_t place = 0;
  {
    const PinnedJobs pinned(jobs_);
    if (!pinned.holds(0)) return {};
    const Read& read = std::get<Read>(jobs_.front().unit->commands.front());
    Parameters parameters;
    parameters.add_bytes(read.key);
    database_.add_settings(connection, {.deadline = deadline, .is_small_read = true});
    place = connection.add(statement_for_one(read), parameters);
    connection.end_transaction();
  }
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  const PinnedJobs pinned(jobs_);
  if (!pinned.holds(0)) return {};
  auto& read = std::get<Read>(jobs_.front().unit->commands.front());
  const Rows& rows = connection.rows(place);
  if (rows.count() == 0) {
    answer_absent(read);
    if (database_.options().ttl_mode == TtlMode::on_read) missing_.emplace_back(read.key);
    return {};
  }
  answer(read, rows, 0, 0);
  if (read.seen.expires_us != 0) database_.clock().note(rows.time(0, StateColumns::kCount));
  return {};
}

void ReadBatch::collect(Connection& connection, os::Deadline deadline) {
  targets_.clear();
  chunks_.clear();
  const PinnedJobs pinned(jobs_);
  for (std::size_t job = 0; job < jobs_.size(); ++job) {
    if (!pinned.holds(job)) continue;
    for (Command& command : jobs_[job].unit->commands)
      targets_.push_back({.job = job, .read = std::get_if<Read>(&command)});
  }
  if (targets_.empty()) return;
  std::vector<Target*> sorted;
  sorted.reserve(targets_.size());
  for (Target& target : targets_) sorted.push_back(&target);
  // Those who want the value come first of their key, and so stand for it.
  std::sort(sorted.begin(), sorted.end(), [](const Target* a, const Target* b) {
    const int order = a->read->key.compare(b->read->key);
    return order != 0 ? order < 0 : a->read->want > b->read->want;
  });
  std::vector<const Target*> distinct;
  for (Target* target : sorted) {
    if (distinct.empty() || distinct.back()->read->key != target->read->key) distinct.push_back(target);
    target->ordinal = distinct.size() - 1;
  }
  // A caller that is alone holds up nobody.
  by_key_ = !with_canary_ && database_.options().partitions == 0 &&
            std::all_of(targets_.begin(), targets_.end(),
                        [](const Target& target) { return wants_value_alone(*target.read); });
  value_bytes_max_ = jobs_.size() == 1 ? std::numeric_limits<std::int32_t>::max() : kBatchedValueBytesMax;
  add_chunks(connection, distinct, deadline);
}

Parameters ReadBatch::parameters_for(std::span<const Target* const> part, bool and_expired) const {
  const std::string canary = with_canary_ ? canary_key() : std::string();
  const std::size_t extra = with_canary_ ? 1 : 0;
  Parameters parameters;
  parameters.begin_array(kBytea, part.size() + extra);
  if (with_canary_) parameters.element(canary);
  for (const Target* target : part) parameters.element(target->read->key);
  parameters.end_array();
  if (!by_key_) {
    parameters.begin_array(kBool, part.size() + extra);
    if (with_canary_) parameters.element_bool(true);
    for (const Target* target : part) parameters.element_bool(target->read->want == Want::value);
    parameters.end_array();
  }
  parameters.add_int4(value_bytes_max_);
  parameters.add_bool(and_expired);
  return parameters;
}

void ReadBatch::add_chunks(Connection& connection, std::span<const Target* const> distinct, os::Deadline deadline) {
  const Statements& statements = database_.statements();
  const Statement& statement = by_key_ ? statements.read_values : statements.read_many;
  const bool several = distinct.size() > kStatementKeysMax;
  if (several) {
    connection.add(statements.begin_snapshot);
    clock_place_ = connection.add(statements.clocks);  // what comes first takes the snapshot
  }
  database_.add_settings(connection, {.deadline = deadline, .is_small_read = distinct.size() <= kSmallReadKeys});
  for (std::size_t first = 0; first < distinct.size(); first += kStatementKeysMax) {
    const auto part = distinct.subspan(first, std::min(kStatementKeysMax, distinct.size() - first));
    const Parameters parameters = parameters_for(part, several);
    chunks_.push_back({.place = connection.add(statement, parameters), .first = first, .keys = part.size()});
  }
  if (several) connection.add(statements.commit);
  connection.end_transaction();
}

Status ReadBatch::index_rows(Connection& connection, os::Deadline deadline) {
  constexpr int kClockColumn = 1 + StateColumns::kCount;
  judged_us_ = chunks_.size() > 1 ? database_.liveness_us(connection.rows(clock_place_).time(0, 0)) : INT64_MIN;
  for (Chunk& chunk : chunks_) {
    chunk.rows = connection.take_rows(chunk.place);
    if (by_key_) continue;
    if (chunk.rows.count() > 0) database_.clock().note(chunk.rows.time(0, kClockColumn));
    const int extra = with_canary_ ? 1 : 0;
    chunk.row_of.assign(chunk.keys + static_cast<std::size_t>(extra), -1);
    for (int row = 0; row < chunk.rows.count(); ++row) {
      chunk.row_of[static_cast<std::size_t>(chunk.rows.int4(row, 0) - 1)] = row;
    }
  }
  if (!with_canary_) return {};
  for (Chunk& chunk : chunks_) {
    const int row = chunk.row_of.front();
    const bool found = row >= 0;
    TUSKV_RETURN_IF_ERROR(database_.check_canary(
        connection, found, found ? chunk.rows.bytes(row, 1 + StateColumns::kValue) : std::string_view(), deadline));
    chunk.row_of.erase(chunk.row_of.begin());
  }
  return {};
}

/// The row of a key, of rows in the order of keys; -1: absent.
int ReadBatch::Chunk::find(std::string_view key) const {
  int low = 0;
  int high = rows.count();
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (rows.bytes(middle, 0) < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < rows.count() && rows.bytes(low, 0) == key ? low : -1;
}

void ReadBatch::fill_replies() {
  const PinnedJobs pinned(jobs_);
  for (const Target& target : targets_) {
    if (!pinned.holds(target.job)) continue;
    if (fill(target)) continue;
    const Job& job = jobs_[target.job];
    if (large_.empty() || large_.back().unit != job.unit) large_.push_back(job);
  }
}

/// False when the value was too large to come along.
bool ReadBatch::fill(const Target& target) {
  constexpr int kValueColumn = 1 + StateColumns::kValue;  // of both statements; so is when the entry expires
  const Chunk& chunk = chunks_[target.ordinal / kStatementKeysMax];
  const int row = by_key_ ? chunk.find(target.read->key) : chunk.row_of[target.ordinal - chunk.first];
  if (row < 0 || !is_live(chunk.rows.time(row, 1 + StateColumns::kExpires), judged_us_)) {
    answer_absent(*target.read);
    if (database_.options().ttl_mode == TtlMode::on_read) missing_.emplace_back(target.read->key);
    return true;
  }
  if (target.read->want == Want::value && chunk.rows.is_null(row, kValueColumn)) return false;
  answer(*target.read, chunk.rows, row, 1);
  return true;
}

/// Removes what a read has met and had expired. Best effort: skips rows that others hold, and a refusal would cost the
/// connection.
Status ReadBatch::erase_dead(Connection& connection, os::Deadline deadline) {
  if (connection.is_read_only()) return {};
  std::sort(missing_.begin(), missing_.end());
  Parameters parameters;
  parameters.begin_array(kBytea, missing_.size());
  for (const std::string& key : missing_) parameters.element(key);
  parameters.end_array();
  database_.add_isolation(connection);
  database_.add_settings(connection, {.deadline = deadline});
  const std::size_t place = connection.add(database_.statements().erase_dead, parameters);
  connection.end_transaction();
  // The replies are there already; a role that may not delete can still read.
  if (connection.exchange(deadline).ok()) swept_ = static_cast<std::uint64_t>(connection.rows(place).int8(0, 0));
  return {};
}

}  // namespace tuskv::postgres
