#include "support/reference_engine.h"

#include <algorithm>
#include <functional>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "filter.h"
#include "named_limits.h"

namespace tuskv::test {
namespace {

Status closed_status() { return Status(Code::Closed, "the store is closed"); }
Status no_snapshots() { return Status(Code::Unsupported, "the reference engine has no snapshots"); }
Status no_indexes() { return Status(Code::Unsupported, "the reference engine has no indexes"); }
TimePoint time_point(std::int64_t us) { return TimePoint(std::chrono::microseconds(us)); }

bool matches(const Filter& filter, std::string_view key, std::string_view value) {
  return matches_key(filter, key) && matches_value(filter, value);
}

}  // namespace

ReferenceEngine::ReferenceEngine(const os::Clock& clock, const Settings& settings)
    : clock_(clock), settings_(settings) {
  if (settings_.has_worker) worker_ = std::thread([this] { work(); });
}

ReferenceEngine::~ReferenceEngine() {
  {
    os::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
  if (settings_.destroyed != nullptr) settings_.destroyed->store(true);
}

// ---- units

void ReferenceEngine::execute(std::span<Unit> units) {
  if (!has_memory_.exchange(true)) throw std::bad_alloc();
  if (settings_.execute_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(settings_.execute_ms));
  os::MutexLock lock(mutex_);
  ++executes_;
  for (Unit& unit : units) {
    execute_timeouts_ms_.push_back(unit.timeout_ms);
    Status status = answer(run(unit));
    if (!status.ok()) unit.failure = std::move(status).take();
  }
}

Status ReferenceEngine::run(Unit& unit) {
  if (closed_) return closed_status();
  const Entries before = unit.commands.size() > 1 ? entries_ : Entries();
  Status status;
  bool applied = true;
  for (Command& command : unit.commands) {
    if (auto* scan = std::get_if<Scan>(&command)) {
      run_scan(*scan);
    } else if (auto* count = std::get_if<Count>(&command)) {
      count->count = run_count(*count);
    } else if (auto* range = std::get_if<EraseRange>(&command)) {
      range->erased = run_erase_range(range->range);
    } else {
      status = run_keyed(command);
      applied = applied && is_applied(command);
    }
    if (!status.ok() || (unit.require_all && !applied)) break;
  }
  if (unit.commands.size() > 1 && (!status.ok() || (unit.require_all && !applied))) {
    entries_ = before;
    for (Command& command : unit.commands) clear_applied(command);
  }
  return status;
}

EntryState ReferenceEngine::state_of(std::string_view key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end() || !is_live(found->second.expires_us, liveness_us())) return {};
  const Stored& stored = found->second;
  return {.found = true,
          .version = stored.version,
          .expires_us = stored.expires_us,
          .created_us = stored.created_us,
          .updated_us = stored.updated_us,
          .value = stored.value};
}

Status ReferenceEngine::run_keyed(Command& command) {
  PlannedChange change;
  TUSKV_RETURN_IF_ERROR(plan(state_of(command_key(command)), command, clock_.now_us(), change));
  if (change.kind == PlannedChange::Kind::none) return {};
  ++version_;
  apply(command_key(command), change);
  set_version(command, version_);
  return {};
}

void ReferenceEngine::apply(std::string_view key, const PlannedChange& change) {
  if (change.kind == PlannedChange::Kind::erase) {
    if (const auto found = entries_.find(key); found != entries_.end()) entries_.erase(found);
    return;
  }
  Stored& stored = entries_[std::string(key)];
  if (change.kind == PlannedChange::Kind::put) stored.value = std::string(change.value);
  stored.version = version_;
  stored.expires_us = change.expires_us;
  stored.created_us = change.created_us;
  stored.updated_us = change.updated_us;
}

// ---- ranges

bool ReferenceEngine::in_range(const Range& range, std::string_view key) const {
  return key >= range.from && (range.to.empty() || key < range.to);
}

void ReferenceEngine::run_scan(Scan& scan) {
  std::vector<Entries::const_iterator> inside;
  for (auto it = entries_.cbegin(); it != entries_.cend(); ++it) {
    const bool behind = scan.after.empty() || (scan.reverse ? it->first < scan.after : it->first > scan.after);
    if (behind && in_range(scan.range, it->first)) inside.push_back(it);
  }
  if (scan.reverse) std::reverse(inside.begin(), inside.end());
  const std::size_t examined_max = scan.max_examined == 0 ? kScanExaminedMax : scan.max_examined;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (scan.entries.size() == scan.limit || i == examined_max || bytes >= kScanBytesMax) {
      scan.next = inside[i - 1]->first;
      return;
    }
    const auto& [key, stored] = *inside[i];
    if (!scan.include_expired && !is_live(stored.expires_us, liveness_us())) continue;
    const std::string shown = key.substr(scan.key_offset);
    if (looks_at_value(scan.filter)) bytes += stored.value.size();
    if (!matches(scan.filter, shown, stored.value)) continue;
    if (scan.want == Want::value && !looks_at_value(scan.filter)) bytes += stored.value.size();
    Entry entry{.key = shown};
    if (scan.want == Want::value) entry.value = stored.value;
    if (scan.want != Want::nothing) {
      entry.version = Version{stored.version};
      if (stored.expires_us != 0) entry.expires_at = time_point(stored.expires_us);
      entry.created_at = time_point(stored.created_us);
      entry.updated_at = time_point(stored.updated_us);
    }
    scan.entries.push_back(std::move(entry));
  }
}

std::uint64_t ReferenceEngine::run_count(const Count& count) {
  std::uint64_t counted = 0;
  for (const auto& [key, stored] : entries_) {
    const bool live = is_live(stored.expires_us, liveness_us());
    if (live && in_range(count.range, key) && matches(count.filter, key.substr(count.key_offset), stored.value))
      ++counted;
  }
  return counted;
}

std::uint64_t ReferenceEngine::run_erase_range(const Range& range) {
  std::uint64_t erased = 0;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!in_range(range, it->first)) {
      ++it;
      continue;
    }
    erased += is_live(it->second.expires_us, liveness_us()) ? 1 : 0;
    it = entries_.erase(it);
  }
  return erased;
}

// ---- transactions

std::uint64_t ReferenceEngine::fingerprint(std::string_view from, std::string_view to, std::uint64_t& examined) const {
  std::uint64_t sum = 0;
  examined = 0;
  for (const auto& [key, stored] : entries_) {
    if (!in_range({.from = from, .to = to}, key) || !is_live(stored.expires_us, liveness_us())) continue;
    ++examined;
    sum += std::hash<std::string>()(key + std::to_string(stored.version));
  }
  return sum;
}

bool ReferenceEngine::reads_hold(const OptimisticTransaction& transaction) const {
  for (const auto& read : transaction.reads) {
    if (state_of(read.key).version != read.version) return false;
  }
  for (const auto& range : transaction.ranges) {
    std::uint64_t examined = 0;
    if (fingerprint(range.from, range.to, examined) != range.fingerprint || examined != range.examined) return false;
  }
  return true;
}

Status ReferenceEngine::read(OptimisticTransaction& transaction, Unit& unit) {
  if (settings_.on_read) settings_.on_read();
  if (settings_.execute_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(settings_.execute_ms));
  os::MutexLock lock(mutex_);
  execute_timeouts_ms_.push_back(unit.timeout_ms);
  TUSKV_RETURN_IF_ERROR(run(unit));
  for (const Command& command : unit.commands) {
    if (const auto* read = std::get_if<Read>(&command)) {
      transaction.reads.push_back({.key = std::string(read->key), .version = read->seen.version});
      continue;
    }
    if (const auto* whole = std::get_if<Count>(&command)) {
      OptimisticTransaction::RangeRead range{.from = std::string(whole->range.from),
                                             .to = std::string(whole->range.to)};
      range.fingerprint = fingerprint(range.from, range.to, range.examined);
      transaction.add(std::move(range));
      continue;
    }
    const auto& page = std::get<Scan>(command);
    OptimisticTransaction::RangeRead range{.from = std::string(page.range.from), .to = std::string(page.range.to)};
    if (page.reverse) {
      if (!page.after.empty() && (range.to.empty() || page.after < range.to)) range.to = page.after;
      if (!page.next.empty()) range.from = page.next;
    } else {
      if (!page.after.empty() && page.after >= range.from) range.from = std::string(page.after) + '\0';
      if (!page.next.empty()) range.to = page.next + '\0';
    }
    range.fingerprint = fingerprint(range.from, range.to, range.examined);
    transaction.add(std::move(range));
  }
  return reads_hold(transaction) ? Status() : Status(Code::Conflict, "what was read has changed");
}

Status ReferenceEngine::commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  if (settings_.on_commit) settings_.on_commit(transaction);
  os::MutexLock lock(mutex_);
  commit_timeout_ms_ = timeout_ms;
  ++commits_;
  if (closed_) return closed_status();
  if (!reads_hold(transaction)) return Status(Code::Conflict, "what was read has changed");
  using Kind = OptimisticTransaction::KeyWrite::Kind;
  const std::int64_t now = clock_.now_us();
  ++version_;
  for (auto& write : transaction.writes) {
    write.version = version_;
    const EntryState state = state_of(write.key);
    PlannedChange change{.value = write.value, .expires_us = write.expires_us, .created_us = now, .updated_us = now};
    if (state.found && !write.restarts_created) change.created_us = state.created_us;
    change.kind = write.kind == Kind::erase ? PlannedChange::Kind::erase
                  : write.kind == Kind::put ? PlannedChange::Kind::put
                                            : PlannedChange::Kind::touch;
    apply(write.key, change);
  }
  return answer({});
}

Status ReferenceEngine::respell(std::span<const SpelledValue> /*values*/, std::int64_t /*timeout_ms*/) {
  os::MutexLock lock(mutex_);
  ++respells_;
  return {};
}

// ---- asynchronous units

void ReferenceEngine::submit(Submission& submission) {
  if (!has_memory_.exchange(true)) throw std::bad_alloc();
  if (!settings_.has_worker) {
    execute(std::span(&submission.unit, 1));
    submission.done(submission);
    return;
  }
  os::MutexLock lock(mutex_);
  queue_.push_back(&submission);
  changed_.notify_all();
}

void ReferenceEngine::work() {
  os::MutexLock lock(mutex_);
  for (;;) {
    while (!stopping_ && (held_ || queue_.empty())) changed_.wait(mutex_);
    if (queue_.empty()) return;
    Submission* const submission = queue_.front();
    queue_.pop_front();
    lock.unlock();
    execute(std::span(&submission->unit, 1));
    submission->done(*submission);
    lock.lock();
  }
}

void ReferenceEngine::hold_worker(bool held) {
  os::MutexLock lock(mutex_);
  held_ = held;
  changed_.notify_all();
}

// ---- the rest

Result<std::uint64_t> ReferenceEngine::remove_expired(std::uint64_t limit, std::int64_t) {
  os::MutexLock lock(mutex_);
  if (closed_) return closed_status();
  std::uint64_t removed = 0;
  for (auto it = entries_.begin(); it != entries_.end() && (limit == 0 || removed < limit);) {
    const bool dead = !is_live(it->second.expires_us, liveness_us());
    removed += dead ? 1 : 0;
    it = dead ? entries_.erase(it) : std::next(it);
  }
  return removed;
}

Status ReferenceEngine::set_sweeper(std::optional<EngineSweeperOptions>) {
  os::MutexLock lock(mutex_);
  return closed_ ? closed_status() : Status();
}

Result<Stats> ReferenceEngine::stats(std::int64_t) {
  os::MutexLock lock(mutex_);
  if (closed_) return closed_status();
  Stats stats{.engine = "reference", .entries = entries_.size(), .sequence = version_};
  return stats;
}

Result<std::vector<Finding>> ReferenceEngine::diagnose(std::int64_t) {
  os::MutexLock lock(mutex_);
  if (closed_) return closed_status();
  return std::vector<Finding>{{.topic = "engine", .value = "reference"}};
}

Status ReferenceEngine::sync(std::int64_t) {
  os::MutexLock lock(mutex_);
  return closed_ ? closed_status() : Status();
}

Result<SnapshotInfo> ReferenceEngine::snapshot() { return no_snapshots(); }
Result<std::vector<SnapshotInfo>> ReferenceEngine::snapshots() { return no_snapshots(); }
Result<bool> ReferenceEngine::create_index(std::string_view, std::int64_t) { return no_indexes(); }
Result<bool> ReferenceEngine::drop_index(std::string_view, std::int64_t) { return no_indexes(); }
Result<std::vector<std::string>> ReferenceEngine::indexes(std::int64_t) { return no_indexes(); }
Result<std::size_t> ReferenceEngine::prune_snapshots(std::size_t) { return no_snapshots(); }

Status ReferenceEngine::close() {
  os::MutexLock lock(mutex_);
  closed_ = true;
  return {};
}

void ReferenceEngine::put(std::string_view key, std::string_view value) {
  const std::string stored = '\0' + std::string(key);
  Command command(Put{.key = stored, .value = value});
  Unit unit{.commands = std::span(&command, 1)};
  execute(std::span(&unit, 1));
}

void ReferenceEngine::erase(std::string_view key) {
  const std::string stored = '\0' + std::string(key);
  Command command(Erase{.key = stored});
  Unit unit{.commands = std::span(&command, 1)};
  execute(std::span(&unit, 1));
}

std::size_t ReferenceEngine::commit_count() const {
  os::MutexLock lock(mutex_);
  return commits_;
}

std::size_t ReferenceEngine::respell_count() const {
  os::MutexLock lock(mutex_);
  return respells_;
}

std::int64_t ReferenceEngine::commit_timeout_ms() const {
  os::MutexLock lock(mutex_);
  return commit_timeout_ms_;
}

void ReferenceEngine::lose_answer(Code code) {
  os::MutexLock lock(mutex_);
  lost_ = code;
}

Status ReferenceEngine::answer(Status status) {
  if (!status.ok() || !lost_) return status;
  return Status(*std::exchange(lost_, std::nullopt), "the answer was lost", Outcome::unknown);
}

std::vector<std::int64_t> ReferenceEngine::take_execute_timeouts_ms() {
  os::MutexLock lock(mutex_);
  return std::exchange(execute_timeouts_ms_, {});
}

std::size_t ReferenceEngine::execute_count() const {
  os::MutexLock lock(mutex_);
  return executes_;
}

}  // namespace tuskv::test
