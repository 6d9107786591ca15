// Bringing every value under the first key, while others read and write. A value is rewritten only if its entry still
// has the version that was read; one that somebody has written meanwhile is looked at again. So nothing is lost, and a
// walk that was broken off is done by another.
//
// Expired entries are looked at, too: what one handle hides another shows (TtlMode::disabled), so a key is needed until
// they are gone. Where they are hidden they cannot be rewritten, and are counted as left. They are not removed here
// for the same reason.
#include <algorithm>
#include <iterator>
#include <utility>

#include "backoff.h"
#include "encryption/encrypted_engine.h"
#include "encryption/marker.h"
#include "key_text.h"
#include "named_limits.h"
#include "os/deadline.h"

namespace tuskv::encryption {
namespace {

/// A value that was read with a version, to be written in the place of that version.
struct Rewritten {
  std::string key = {};
  std::uint64_t version = 0;
  std::string stored = {};
};

Put rewrite_of(const Rewritten& rewritten) {
  return {.key = rewritten.key,
          .value = rewritten.stored,
          .condition = {.kind = Condition::Kind::version, .version = rewritten.version},
          .expiry = {.kind = Expiry::Kind::keep}};
}

void note_unreadable(std::string_view key, ReencryptReport& report) {
  if (report.unreadable++ == 0) report.first_unreadable = quoted_key(key);
}

/// Adds the value to `rewritten` if it needs another key. What does not is looked at, too: damage is found while there
/// may be a copy.
Status reseal(const Sealer& sealer, Entry entry, std::vector<Rewritten>& rewritten, ReencryptReport& report) {
  const Result<bool> needs = sealer.needs_reencryption(entry.key, entry.value);
  if (!needs.ok() || !sealer.open(entry.key, entry.value).ok()) {
    note_unreadable(entry.key, report);
    return {};
  }
  if (!needs.value()) return {};
  Rewritten value{.key = std::move(entry.key), .version = entry.version.number};
  TUSKV_RETURN_IF_ERROR(sealer.seal(value.key, entry.value, value.stored));
  rewritten.push_back(std::move(value));
  return {};
}

/// Somebody holds the entry, or the engine is busy.
bool is_held(const Failure& failure) {
  return (failure.code == Code::Timeout || failure.code == Code::Busy) && failure.outcome == Outcome::not_applied;
}

/// Writes them all; leaves those in the list that the engine did not take, but for held ones. The first failure, once
/// all have ended.
Status write(Engine& engine, std::vector<Rewritten>& rewritten, std::int64_t timeout_ms, ReencryptReport& report,
             std::vector<Rewritten>& held) {
  std::vector<Command> commands;
  commands.reserve(rewritten.size());
  for (const Rewritten& value : rewritten) commands.emplace_back(rewrite_of(value));
  std::vector<Unit> units;
  units.reserve(rewritten.size());
  for (Command& command : commands) {
    units.push_back({.commands = std::span(&command, 1), .timeout_ms = timeout_ms});
  }
  engine.execute(units);
  Status status;
  std::vector<Rewritten> refused;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i].failure != nullptr && is_held(*units[i].failure)) {
      held.push_back(std::move(rewritten[i]));
    } else if (units[i].failure != nullptr) {
      if (status.ok()) status = Status(std::move(units[i].failure));
    } else if (std::get<Put>(commands[i]).applied) {
      ++report.rewritten;
    } else {
      refused.push_back(std::move(rewritten[i]));
    }
  }
  rewritten = std::move(refused);
  return status;
}

/// What waited in one call with a held entry may be free itself. Adds to `refused` what the engine did not take. When
/// several in a row are held somebody may have the whole table: then the rest of them is left.
Status write_one_by_one(Engine& engine, std::vector<Rewritten> held, std::int64_t timeout_ms, ReencryptReport& report,
                        std::vector<Rewritten>& refused) {
  constexpr std::size_t kHeldInARowMax = 3;
  std::size_t held_in_a_row = 0;
  for (Rewritten& value : held) {
    if (held_in_a_row == kHeldInARowMax) {
      ++report.left;
      continue;
    }
    std::vector<Rewritten> one;
    one.push_back(std::move(value));
    std::vector<Rewritten> still_held;
    TUSKV_RETURN_IF_ERROR(write(engine, one, timeout_ms, report, still_held));
    std::move(one.begin(), one.end(), std::back_inserter(refused));
    held_in_a_row = still_held.empty() ? 0 : held_in_a_row + 1;
    report.left += still_held.size();
  }
  return {};
}

/// The entry as it is stored, expired or not.
Result<std::vector<Entry>> find(Engine& engine, const std::string& key, os::Deadline deadline) {
  const std::string behind = key + '\0';
  Command command(Scan{.range = {.from = key, .to = behind}, .limit = 1, .include_expired = true});
  Unit unit{.commands = std::span(&command, 1), .timeout_ms = os::time_left_ms(deadline)};
  engine.execute(std::span(&unit, 1));
  if (unit.failure != nullptr) return Status(std::move(unit.failure));
  return std::move(std::get<Scan>(command).entries);
}

/// What became of entries whose versions were refused: those that others have changed.
Result<std::vector<Entry>> look_again(Engine& engine, const std::vector<Rewritten>& refused, os::Deadline deadline,
                                      ReencryptReport& report) {
  std::vector<Entry> changed;
  for (const Rewritten& value : refused) {
    Result<std::vector<Entry>> found = find(engine, value.key, deadline);
    if (!found.ok()) return std::move(found).status();
    if (found.value().empty()) continue;
    Entry& entry = found.value().front();
    if (entry.version.number == value.version) {
      ++report.left;  // it is as it was, and the engine takes it for absent: it has expired
    } else {
      changed.push_back(std::move(entry));
    }
  }
  return changed;
}

/// Writes them, and what others make of them meanwhile, until all is done or the time has passed.
Status replace(Engine& engine, const Sealer& sealer, std::vector<Rewritten> rewritten, std::int64_t timeout_ms,
               ReencryptReport& report) {
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  Backoff backoff;
  while (!rewritten.empty()) {
    const bool is_one = rewritten.size() == 1;
    std::vector<Rewritten> held;
    TUSKV_RETURN_IF_ERROR(write(engine, rewritten, os::time_left_ms(deadline), report, held));
    if (is_one) {
      report.left += held.size();
    } else {
      TUSKV_RETURN_IF_ERROR(write_one_by_one(engine, std::move(held), timeout_ms, report, rewritten));
    }
    Result<std::vector<Entry>> changed = look_again(engine, rewritten, os::deadline_in(timeout_ms), report);
    if (!changed.ok()) return std::move(changed).status();
    rewritten.clear();
    for (Entry& entry : changed.value()) TUSKV_RETURN_IF_ERROR(reseal(sealer, std::move(entry), rewritten, report));
    if (rewritten.empty() || backoff.pause(deadline)) continue;
    report.left += rewritten.size();  // others keep writing them
    return {};
  }
  return {};
}

}  // namespace

Status EncryptedEngine::reencrypt_page(ReencryptionWalk& walk, std::int64_t timeout_ms, ReencryptReport& report) {
  return noted(rewrite_page(walk, timeout_ms, report), timeout_ms);
}

/// What has been read is not read again: each step has the time of a call, so that a slow line or a held entry costs
/// the others nothing of theirs. A page that could not be read in time is asked for in parts, as are those behind it.
Status EncryptedEngine::rewrite_page(ReencryptionWalk& walk, std::int64_t timeout_ms, ReencryptReport& report) {
  constexpr std::size_t kShrink = 16;
  Command command(Scan{.after = walk.after, .limit = walk.entries_max, .include_expired = true});
  Unit unit{.commands = std::span(&command, 1), .timeout_ms = timeout_ms};
  engine_->execute(std::span(&unit, 1));
  if (unit.failure != nullptr && unit.failure->code == Code::Timeout && walk.entries_max > 1) {
    walk.entries_max = std::max<std::size_t>(walk.entries_max / kShrink, 1);
    return {};
  }
  if (unit.failure != nullptr) return Status(std::move(unit.failure));
  Scan& scan = std::get<Scan>(command);
  std::vector<Rewritten> rewritten;
  std::size_t bytes = 0;
  for (Entry& entry : scan.entries) {
    const bool is_last = &entry == &scan.entries.back();
    walk.after = entry.key;
    bytes += entry.value.size();
    if (!entry.key.starts_with(kOwnKeysFrom)) {  // what an engine keeps for itself is not encrypted
      ++report.examined;
      TUSKV_RETURN_IF_ERROR(reseal(sealer_, std::move(entry), rewritten, report));
    }
    if (!is_last && bytes < kReencryptedAtOnceBytes) continue;
    TUSKV_RETURN_IF_ERROR(replace(*engine_, sealer_, std::exchange(rewritten, {}), timeout_ms, report));
    bytes = 0;
  }
  walk.after = std::move(scan.next);
  walk.done = walk.after.empty();
  return {};
}

Status EncryptedEngine::reencrypt_marker(std::int64_t timeout_ms) {
  return is_kept_ ? noted(rewrite_marker(timeout_ms), timeout_ms) : Status();
}

Status EncryptedEngine::rewrite_marker(std::int64_t timeout_ms) {
  Result<std::vector<Entry>> marker = find(*engine_, std::string(kMarkerKey), os::deadline_in(timeout_ms));
  if (!marker.ok()) return std::move(marker).status();
  std::vector<Rewritten> rewritten;
  ReencryptReport done;
  for (Entry& entry : marker.value()) TUSKV_RETURN_IF_ERROR(reseal(sealer_, std::move(entry), rewritten, done));
  TUSKV_RETURN_IF_ERROR(replace(*engine_, sealer_, std::move(rewritten), timeout_ms, done));
  if (done.left == 0) return {};
  return Status(Code::Timeout,
                "every value is under the first key, but not the mark of the store, which somebody holds: the older "
                "keys are needed to open it until reencrypt has run again");
}

}  // namespace tuskv::encryption
