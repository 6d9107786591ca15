#include "session.h"

#include <algorithm>
#include <utility>

#include "named_limits.h"

namespace tuskv {
namespace {

/// Versions of writes that are not committed: above all that an engine gives out.
constexpr std::uint64_t kProvisionalVersion = std::uint64_t{1} << 63;

Status conflict() {
  return Status(Code::Conflict, "another write changed what the transaction has read: it has to run again");
}

Status others_go_on() {
  return Status(Code::Timeout, "the deadline passed while another thread's call in the transaction went on");
}

Status no_time_left() { return Status(Code::Timeout, "the deadline passed between the steps of a call"); }

/// Whether judging or answering takes the bytes of the entry.
bool compares_value(const Condition& condition) {
  return condition.kind == Condition::Kind::equals || condition.kind == Condition::Kind::version;
}

bool ends_at_an_instant(const Command& command) {
  const auto* put = std::get_if<Put>(&command);
  return put != nullptr && put->expiry.kind == Expiry::Kind::at;
}

/// A put that needs to know nothing of the entry. One with an instant does once that has passed: it erases what is
/// there.
bool is_blind(const Put& put, std::int64_t now_us) {
  if (put.condition.kind != Condition::Kind::always || put.want_previous) return false;
  if (put.expiry.kind == Expiry::Kind::at) return put.expiry.value > now_us;
  return put.expiry.kind != Expiry::Kind::keep;
}

Want value_or_meta(bool value) { return value ? Want::value : Want::meta; }

Want needed(const Command& command) {
  if (const auto* read = std::get_if<Read>(&command)) return read->want;
  if (const auto* put = std::get_if<Put>(&command)) {
    return value_or_meta(put->want_previous || compares_value(put->condition));
  }
  if (const auto* erase = std::get_if<Erase>(&command)) {
    return value_or_meta(erase->want_previous || compares_value(erase->condition));
  }
  if (const auto* touch = std::get_if<Touch>(&command)) {
    return value_or_meta(touch->want == Want::value || compares_value(touch->condition));
  }
  return Want::value;
}

EntryState to_state(const Seen& seen, std::string_view value) {
  if (!seen.found) return {};
  return {.found = true,
          .version = seen.version,
          .expires_us = seen.expires_us,
          .created_us = seen.created_us,
          .updated_us = seen.updated_us,
          .value = value};
}

}  // namespace

// ---- running units

void Session::execute(std::span<Unit> units) {
  std::int64_t left = call_ms();
  if (!mutex_.lock_within(left)) {
    for (Unit& unit : units) unit.failure = others_go_on().take();
    return;
  }
  const os::AdoptedLock lock(mutex_);
  for (Unit& unit : units) {
    begin_call(left);
    Status status = check_usable();
    if (status.ok()) status = run(unit);
    if (!status.ok()) unit.failure = std::move(status).take();
  }
}

Status Session::check_usable() const {
  if (ended_) return Status(Code::Closed, "the transaction has ended");
  return doomed_ ? conflict() : Status();
}

Status Session::run(Unit& unit) {
  if (unit.commands.empty()) return {};
  Command& first = unit.commands.front();
  if (auto* scan = std::get_if<Scan>(&first)) return run_scan(*scan);
  if (auto* count = std::get_if<Count>(&first)) return run_count(*count);
  if (auto* erase = std::get_if<EraseRange>(&first)) return run_erase_range(*erase);
  return run_keyed(unit);
}

std::int64_t Session::left_ms() {
  if (call_deadline_) return os::time_left_ms(*call_deadline_);
  call_deadline_ = os::deadline_in(call_ms_);
  return call_ms_;
}

Status Session::read_from_engine(std::span<Command> commands) {
  const std::size_t before = transaction_.reads.size();
  const std::int64_t left = left_ms();
  if (left == 0) return no_time_left();
  Unit unit{.commands = commands, .timeout_ms = left};
  Status status = engine_.read(transaction_, unit);
  if (!status.ok()) {
    doomed_ = doomed_ || status.failure().code == Code::Conflict;
    return status;
  }
  // A key read before is there already, with the same version: otherwise it would have been a conflict.
  auto& reads = transaction_.reads;
  const auto known = std::remove_if(
      reads.begin() + static_cast<std::ptrdiff_t>(before), reads.end(),
      [this](const auto& read) TUSKV_NO_THREAD_SAFETY_ANALYSIS { return !keys_read_.insert(read.key).second; });
  reads.erase(known, reads.end());
  if (reads.size() + transaction_.ranges.size() > kBatchCommandsMax) {
    return Status(Code::TooLarge, "a transaction that reads more than " + std::to_string(kBatchCommandsMax) + " keys");
  }
  return {};
}

// ---- keyed commands

Status Session::run_keyed(Unit& unit) {
  // One moment for all: a batch expires as one. Where it says what has to be read it comes first, otherwise last: a
  // server that has answered has told the time as well.
  std::optional<Moment> moment;
  if (std::any_of(unit.commands.begin(), unit.commands.end(), ends_at_an_instant)) moment = this_moment();
  FetchedEntries fetched;
  TUSKV_RETURN_IF_ERROR(fetch(unit, moment ? moment->now_us : 0, fetched));
  if (!moment) moment = this_moment();
  const std::size_t mark = journal_.size();
  Status status;
  bool applied = true;
  for (Command& command : unit.commands) {
    status = run_command(command, fetched, *moment);
    applied = applied && is_applied(command);
    if (!status.ok() || (unit.require_all && !applied)) break;
  }
  if (status.ok() && (applied || !unit.require_all)) status = respell_puts();
  if (status.ok() && (overlay_.size() > kBatchCommandsMax || overlay_bytes_ > kBatchBytesMax)) {
    status = Status(Code::TooLarge, "the transaction writes more than " + std::to_string(kBatchCommandsMax) +
                                        " keys or " + std::to_string(kBatchBytesMax) + " bytes");
  }
  if (!status.ok() || (unit.require_all && !applied)) {
    roll_back_to(mark);
    as_given_.clear();
    for (Command& command : unit.commands) clear_applied(command);
  }
  if (savepoints_.empty()) journal_.clear();
  return status;
}

std::optional<Want> Session::needed_from_engine(const Command& command, std::int64_t now_us) const {
  const auto own = overlay_.find(command_key(command));
  if (own != overlay_.end() && own->second.kind != OwnEntry::Kind::touch) return std::nullopt;
  const auto* put = std::get_if<Put>(&command);
  if (put != nullptr && is_blind(*put, now_us)) return std::nullopt;
  return needed(command);
}

Status Session::fetch(const Unit& unit, std::int64_t now_us, FetchedEntries& fetched) {
  std::map<std::string_view, std::optional<Want>> wanted;
  for (const Command& command : unit.commands) {
    const auto [known, first] = wanted.try_emplace(command_key(command));
    // What an earlier command of the unit writes blindly is not read for a later one.
    if (!first && !known->second) continue;
    const std::optional<Want> want = needed_from_engine(command, now_us);
    if (want && (!known->second || *known->second < *want)) known->second = want;
  }
  std::vector<Command> reads;
  for (const auto& [key, want] : wanted) {
    if (want) reads.emplace_back(Read{.key = key, .want = *want, .into = &fetched[key].value});
  }
  if (reads.empty()) return {};
  TUSKV_RETURN_IF_ERROR(read_from_engine(reads));
  for (Command& command : reads) {
    auto& read = std::get<Read>(command);
    fetched[read.key].seen = std::move(read.seen);
  }
  return {};
}

EntryState Session::state_of(std::string_view key, const FetchedEntries& fetched, std::int64_t now_us) const {
  EntryState state;
  if (const auto entry = fetched.find(key); entry != fetched.end()) {
    state = to_state(entry->second.seen, entry->second.value);
  }
  const auto found = overlay_.find(key);
  if (found == overlay_.end()) return state;
  const OwnEntry& own = found->second;
  if (own.kind == OwnEntry::Kind::erase || !is_live(own.expires_us, liveness_us(now_us))) return {};
  // Of a touched entry the value is there when the command needs it.
  state.found = true;
  state.version = own.version;
  state.expires_us = own.expires_us;
  state.created_us = own.created_us;
  state.updated_us = own.updated_us;
  if (own.kind == OwnEntry::Kind::put) state.value = own.value;
  return state;
}

Status Session::run_command(Command& command, const FetchedEntries& fetched, const Moment& moment) {
  if (!as_given_.empty() && needed(command) == Want::value) TUSKV_RETURN_IF_ERROR(respell_puts());
  const std::string_view key = command_key(command);
  PlannedChange change;
  const EntryState state = state_of(key, fetched, moment.now_us);
  TUSKV_RETURN_IF_ERROR(plan(state, command, moment.now_us, change));
  if (change.kind == PlannedChange::Kind::none) return {};
  if (change.expires_us != 0) note_clock(moment);
  apply(key, state, change);
  set_version(command, kProvisionalVersion + writes_);
  if (std::holds_alternative<Put>(command) && !engine_.keeps_bytes()) as_given_.emplace_back(key);
  return {};
}

Session::Moment Session::this_moment() {
  const std::int64_t now_us = engine_.now_us(left_ms());
  return {.now_us = now_us, .ahead_us = now_us - os::steady_us()};
}

void Session::note_clock(const Moment& moment) {
  transaction_.clock_ahead_us_min = std::min(transaction_.clock_ahead_us_min, moment.ahead_us);
  transaction_.clock_ahead_us_max = std::max(transaction_.clock_ahead_us_max, moment.ahead_us);
}

Status Session::respell_puts() {
  std::vector<Engine::SpelledValue> values;
  for (const std::string& key : std::exchange(as_given_, {})) {
    const auto own = overlay_.find(key);
    if (own == overlay_.end() || own->second.kind != OwnEntry::Kind::put) continue;
    overlay_bytes_ -= own->second.value.size();
    values.push_back({.key = own->first, .value = &own->second.value});
  }
  Status status = values.empty() ? Status() : engine_.respell(values, left_ms());
  for (const Engine::SpelledValue& spelled : values) overlay_bytes_ += spelled.value->size();
  return status;
}

void Session::apply(std::string_view key, const EntryState& before, const PlannedChange& change) {
  const auto found = overlay_.find(key);
  const OwnEntry* own = found == overlay_.end() ? nullptr : &found->second;
  OwnEntry entry{.version = kProvisionalVersion + ++writes_,
                 .expires_us = change.expires_us,
                 .created_us = change.created_us,
                 .updated_us = change.updated_us};
  if (own != nullptr) {
    entry.restarts_created = own->restarts_created || own->kind == OwnEntry::Kind::erase || !before.found;
  }
  switch (change.kind) {
    case PlannedChange::Kind::none: return;
    case PlannedChange::Kind::erase: entry.kind = OwnEntry::Kind::erase; break;
    case PlannedChange::Kind::put: entry.value = change.value; break;
    case PlannedChange::Kind::touch:
      // Of an own put it makes another put: the engine has not seen the value yet.
      if (own != nullptr && own->kind == OwnEntry::Kind::put) {
        entry.value = own->value;
      } else {
        entry.kind = OwnEntry::Kind::touch;
      }
      break;
  }
  write(key, std::move(entry));
}

void Session::write(std::string_view key, OwnEntry entry) {
  Undo undo{.key = std::string(key), .before = {}};
  overlay_bytes_ += entry.value.size();
  if (const auto found = overlay_.find(key); found != overlay_.end()) {
    overlay_bytes_ -= found->second.value.size();
    undo.before = std::exchange(found->second, std::move(entry));
  } else {
    overlay_bytes_ += key.size();
    overlay_.emplace(undo.key, std::move(entry));
  }
  journal_.push_back(std::move(undo));
}

void Session::roll_back_to(std::size_t mark) {
  while (journal_.size() > mark) {
    Undo& undo = journal_.back();
    const auto found = overlay_.find(undo.key);
    overlay_bytes_ -= found->second.value.size();
    if (undo.before) {
      overlay_bytes_ += undo.before->value.size();
      found->second = *std::move(undo.before);
    } else {
      overlay_bytes_ -= undo.key.size();
      overlay_.erase(found);
    }
    journal_.pop_back();
  }
}

// ---- savepoints and the end

Status Session::begin_savepoint() {
  std::int64_t left = call_ms();
  if (!mutex_.lock_within(left)) return others_go_on();
  const os::AdoptedLock lock(mutex_);
  TUSKV_RETURN_IF_ERROR(check_usable());
  if (savepoints_.size() >= static_cast<std::size_t>(kSavepointDepthMax)) {
    return Status(Code::InvalidArgument,
                  "transactions nest deeper than " + std::to_string(kSavepointDepthMax) + " levels");
  }
  savepoints_.push_back(journal_.size());
  return {};
}

void Session::release_savepoint() {
  os::MutexLock lock(mutex_);
  savepoints_.pop_back();
  if (savepoints_.empty()) journal_.clear();
}

void Session::roll_back_savepoint() {
  os::MutexLock lock(mutex_);
  roll_back_to(savepoints_.back());
  savepoints_.pop_back();
}

Status Session::commit() {
  std::int64_t left = call_ms();
  if (!mutex_.lock_within(left)) return others_go_on();
  const os::AdoptedLock lock(mutex_);
  begin_call(left);
  if (doomed_) return conflict();
  // What was only read held together when the last read ended: that is the moment this transaction took place.
  if (overlay_.empty()) return {};
  if (left == 0) return no_time_left();  // a write begun now could end without anybody knowing how
  transaction_.writes.reserve(overlay_.size());
  while (!overlay_.empty()) {
    using Kind = OptimisticTransaction::KeyWrite::Kind;
    Overlay::node_type own = overlay_.extract(overlay_.begin());
    OwnEntry& entry = own.mapped();
    OptimisticTransaction::KeyWrite write{.key = std::move(own.key()),
                                          .value = std::move(entry.value),
                                          .expires_us = entry.expires_us,
                                          .restarts_created = entry.restarts_created};
    if (entry.kind == OwnEntry::Kind::erase) write.kind = Kind::erase;
    if (entry.kind == OwnEntry::Kind::touch) write.kind = Kind::touch;
    transaction_.writes.push_back(std::move(write));
  }
  return engine_.commit(transaction_, left_ms());
}

std::uint64_t Session::committed_version(std::string_view key) {
  os::MutexLock lock(mutex_);
  const auto& writes = transaction_.writes;  // in the order of their keys, as the overlay was
  const auto write = std::lower_bound(writes.begin(), writes.end(), key,
                                      [](const auto& each, auto wanted) { return each.key < wanted; });
  return write != writes.end() && write->key == key ? write->version : 0;
}

Status Session::validate() {
  std::int64_t left = call_ms();
  if (!mutex_.lock_within(left)) return others_go_on();
  const os::AdoptedLock lock(mutex_);
  begin_call(left);
  if (doomed_) return conflict();
  if (transaction_.reads.empty() && transaction_.ranges.empty()) return {};
  return engine_.commit(transaction_, left_ms());
}

}  // namespace tuskv
